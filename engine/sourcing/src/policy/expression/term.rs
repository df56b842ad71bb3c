//! A condition after checking: every part has its type, so nothing is left to go wrong but arithmetic and missing attributes.

use super::field::{Domain, ListField, NumberField, TextField};

/// Something true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    Constant(bool),
    Not(Box<Truth>),
    /// At least two; none of them an `All`.
    All(Vec<Truth>),
    /// At least two; none of them an `Any`.
    Any(Vec<Truth>),
    Choose(Box<[Truth; 3]>),
    Same(Box<[Truth; 2]>),
    Numbers(Compare, Number, Number),
    Texts(Compare, Text, Text),
    Among(Text, Texts),
    AmongNumbers(Number, Vec<Number>),
    HasAttribute(Text),
    Part(Part, Text, Text),
    /// The list's entries in turn are `Text::Local` of the depth given.
    Each(Quantifier, Texts, usize, Box<Truth>),
}

/// How two of a type compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Where one text stands in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Start,
    End,
    Anywhere,
}

/// For how many entries of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Any,
    One,
}

/// A whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Literal(i64),
    Field(NumberField),
    Negate(Box<Number>),
    Arithmetic(Operator, Box<[Number; 2]>),
    TextSize(Text),
    ListSize(Texts),
    AttributesSize,
    Choose(Box<(Truth, Number, Number)>),
}

/// What arithmetic does; beyond 64 bits, and by zero, there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Literal(Box<str>),
    Field(TextField),
    Local(usize),
    Attribute(Box<Text>),
    Item(Box<(Texts, Number)>),
    Choose(Box<(Truth, Text, Text)>),
}

/// A list of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    Literal(Vec<Text>),
    Field(ListField),
}

impl Truth {
    /// What `||` joins at the top; itself where nothing is.
    pub(crate) fn clauses(&self) -> &[Self] {
        match self {
            Self::Any(parts) => parts,
            whole => std::slice::from_ref(whole),
        }
    }

    /// What `&&` joins at the top; itself where nothing is.
    pub(crate) fn tests(&self) -> &[Self] {
        match self {
            Self::All(parts) => parts,
            whole => std::slice::from_ref(whole),
        }
    }

    /// Shows itself and everything true or false in it, but for the conditions of `a ? b : c` between numbers or texts.
    pub(crate) fn visit(&self, see: &mut dyn FnMut(&Self)) {
        see(self);
        match self {
            Self::Not(inner) | Self::Each(_, _, _, inner) => inner.visit(see),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Choose(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Same(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Constant(_)
            | Self::Numbers(..)
            | Self::Texts(..)
            | Self::Among(..)
            | Self::AmongNumbers(..)
            | Self::HasAttribute(_)
            | Self::Part(..) => {}
        }
    }

    pub(crate) fn domain(&self) -> Domain {
        match self {
            Self::Constant(_) => Domain::NONE,
            Self::Not(inner) => inner.domain(),
            Self::All(parts) | Self::Any(parts) => union(parts.iter().map(Self::domain)),
            Self::Choose(parts) => union(parts.iter().map(Self::domain)),
            Self::Same(parts) => union(parts.iter().map(Self::domain)),
            Self::Numbers(_, left, right) => left.domain() | right.domain(),
            Self::Texts(_, left, right) | Self::Part(_, left, right) => left.domain() | right.domain(),
            Self::Among(text, list) => text.domain() | list.domain(),
            Self::AmongNumbers(number, list) => number.domain() | union(list.iter().map(Number::domain)),
            Self::HasAttribute(key) => Domain::GOODS | key.domain(),
            Self::Each(_, list, _, inner) => list.domain() | inner.domain(),
        }
    }
}

impl Number {
    pub(crate) fn domain(&self) -> Domain {
        match self {
            Self::Literal(_) => Domain::NONE,
            Self::Field(field) => field.domain(),
            Self::Negate(inner) => inner.domain(),
            Self::Arithmetic(_, parts) => union(parts.iter().map(Self::domain)),
            Self::TextSize(text) => text.domain(),
            Self::ListSize(list) => list.domain(),
            Self::AttributesSize => Domain::GOODS,
            Self::Choose(parts) => parts.0.domain() | parts.1.domain() | parts.2.domain(),
        }
    }
}

impl Text {
    fn domain(&self) -> Domain {
        match self {
            Self::Literal(_) | Self::Local(_) => Domain::NONE,
            Self::Field(field) => field.domain(),
            Self::Attribute(key) => Domain::GOODS | key.domain(),
            Self::Item(parts) => parts.0.domain() | parts.1.domain(),
            Self::Choose(parts) => parts.0.domain() | parts.1.domain() | parts.2.domain(),
        }
    }
}

impl Texts {
    fn domain(&self) -> Domain {
        match self {
            Self::Literal(list) => union(list.iter().map(Text::domain)),
            Self::Field(field) => field.domain(),
        }
    }
}

fn union(domains: impl Iterator<Item = Domain>) -> Domain {
    domains.fold(Domain::NONE, |all, domain| all | domain)
}
