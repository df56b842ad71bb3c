//! From the parser's tree to a checked condition: every name known, every type right.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, operators};

use super::error::ExpressionError;
use super::evaluate::LOCALS_MAX;
use super::field::{Field, NumberField, Variable};
use super::term::{Compare, Number, Operator, Part, Quantifier, Text, Texts, Truth};

type Lowered<T> = Result<T, ExpressionError>;

/// A checked part of any type.
enum Term {
    Truth(Truth),
    Number(Number),
    Text(Text),
    Texts(Texts),
    /// A literal list of numbers.
    Numbers(Vec<Number>),
    Attributes,
    Record(Variable),
}

impl Term {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Truth(_) => "a bool",
            Self::Number(_) => "an int",
            Self::Text(_) => "a string",
            Self::Texts(_) => "a list of strings",
            Self::Numbers(_) => "a list of ints",
            Self::Attributes => "a map",
            Self::Record(_) => "a variable with fields",
        }
    }
}

/// Names given by `exists` and its like, outermost first.
type Names<'n> = Vec<&'n str>;

pub(super) fn condition(expr: &IdedExpr) -> Lowered<Truth> {
    truth(expr, &mut Vec::new())
}

pub(super) fn amount(expr: &IdedExpr) -> Lowered<Number> {
    number(expr, &mut Vec::new())
}

fn term<'n>(expr: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Term> {
    match &expr.expr {
        Expr::Ident(name) => ident(name, names),
        Expr::Literal(value) => literal(value),
        Expr::Select(select) => selection(select, names),
        Expr::Call(called) => call(called, names),
        Expr::List(list) => elements(&list.elements, names),
        Expr::Comprehension(comprehension) => quantifier(comprehension, names).map(Term::Truth),
        Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Err(unsupported("a map or a message", "")),
    }
}

fn ident(name: &str, names: &Names<'_>) -> Lowered<Term> {
    if let Some(depth) = names.iter().rposition(|local| *local == name) {
        return Ok(Term::Text(Text::Local(depth)));
    }
    if name == "distance_metres" {
        return Ok(Term::Number(Number::Field(NumberField::Distance)));
    }
    let variable = Variable::named(name).map(Term::Record);
    variable.ok_or_else(|| ExpressionError::UnknownVariable { name: name.to_owned() })
}

fn literal(value: &LiteralValue) -> Lowered<Term> {
    Ok(match value {
        LiteralValue::Boolean(value) => Term::Truth(Truth::Constant(*value.inner())),
        LiteralValue::Int(value) => Term::Number(Number::Literal(*value.inner())),
        LiteralValue::String(value) => Term::Text(Text::Literal(value.inner().into())),
        LiteralValue::Double(_) => {
            return Err(unsupported("a number with a fraction", "; prices and facts are whole numbers"));
        }
        LiteralValue::UInt(_) => return Err(unsupported("an unsigned number", "; leave out the u")),
        LiteralValue::Bytes(_) => return Err(unsupported("a byte string", "")),
        LiteralValue::Null => return Err(unsupported("null", "; what is unknown is an empty string or zero")),
    })
}

fn selection<'n>(select: &'n SelectExpr, names: &mut Names<'n>) -> Lowered<Term> {
    let operand = term(&select.operand, names)?;
    let key = || Text::Literal(select.field.as_str().into());
    match (operand, select.test) {
        (Term::Attributes, true) => Ok(Term::Truth(Truth::HasAttribute(key()))),
        (Term::Attributes, false) => Ok(Term::Text(Text::Attribute(Box::new(key())))),
        (Term::Record(variable), test) => {
            let field = variable.field(&select.field).ok_or_else(|| ExpressionError::UnknownField {
                variable: variable.name(),
                field: select.field.clone(),
                known: variable.fields(),
            })?;
            if test {
                let what = format!("has({}.{})", variable.name(), select.field);
                return Err(unsupported(&what, ": the field is always there; has() asks for keys of sku.attributes"));
            }
            Ok(match field {
                Field::Text(field) => Term::Text(Text::Field(field)),
                Field::Number(field) => Term::Number(Number::Field(field)),
                Field::List(field) => Term::Texts(Texts::Field(field)),
                Field::Attributes => Term::Attributes,
            })
        }
        (other, _) => Err(mismatch(&show(&select.operand), &other, "a variable with fields")),
    }
}

fn elements<'n>(list: &'n [IdedExpr], names: &mut Names<'n>) -> Lowered<Term> {
    let mut texts = Vec::new();
    let mut numbers = Vec::new();
    for element in list {
        match term(element, names)? {
            Term::Text(text) if numbers.is_empty() => texts.push(text),
            Term::Number(number) if texts.is_empty() => numbers.push(number),
            other => return Err(mismatch(&show(element), &other, "a string or an int, all of a list alike,")),
        }
    }
    Ok(if numbers.is_empty() { Term::Texts(Texts::Literal(texts)) } else { Term::Numbers(numbers) })
}

fn call<'n>(called: &'n CallExpr, names: &mut Names<'n>) -> Lowered<Term> {
    let name = called.func_name.as_str();
    match (name, called.target.as_deref(), called.args.as_slice()) {
        (operators::LOGICAL_AND, None, [left, right]) => {
            let mut parts = Vec::new();
            for side in [left, right] {
                match truth(side, names)? {
                    Truth::All(inner) => parts.extend(inner),
                    other => parts.push(other),
                }
            }
            Ok(Term::Truth(Truth::All(parts)))
        }
        (operators::LOGICAL_OR, None, [left, right]) => {
            let mut parts = Vec::new();
            for side in [left, right] {
                match truth(side, names)? {
                    Truth::Any(inner) => parts.extend(inner),
                    other => parts.push(other),
                }
            }
            Ok(Term::Truth(Truth::Any(parts)))
        }
        (operators::LOGICAL_NOT, None, [inner]) => Ok(Term::Truth(Truth::Not(Box::new(truth(inner, names)?)))),
        (operators::NEGATE, None, [inner]) => Ok(Term::Number(Number::Negate(Box::new(number(inner, names)?)))),
        (operators::CONDITIONAL, None, [asked, then, other]) => choice(asked, then, other, names),
        (operators::IN, None, [needle, hay]) => membership(needle, hay, names).map(Term::Truth),
        (operators::INDEX, None, [whole, at]) => index(whole, at, names).map(Term::Text),
        ("size", Some(whole), []) | ("size", None, [whole]) => size(whole, names).map(Term::Number),
        ("startsWith" | "endsWith" | "contains", Some(whole), [piece]) => {
            let part = match name {
                "startsWith" => Part::Start,
                "endsWith" => Part::End,
                _ => Part::Anywhere,
            };
            Ok(Term::Truth(Truth::Part(part, text(whole, names)?, text(piece, names)?)))
        }
        ("matches", ..) => Err(unsupported("a regular expression", "; use startsWith, endsWith or contains")),
        (_, None, [left, right]) => match (comparison(name), arithmetic(name)) {
            (Some(compare), _) => compared(compare, left, right, names).map(Term::Truth),
            (None, Some(operator)) => {
                let parts = [number(left, names)?, number(right, names)?];
                Ok(Term::Number(Number::Arithmetic(operator, Box::new(parts))))
            }
            (None, None) => Err(unknown(name)),
        },
        _ => Err(unknown(name)),
    }
}

fn comparison(name: &str) -> Option<Compare> {
    Some(match name {
        operators::EQUALS => Compare::Equal,
        operators::NOT_EQUALS => Compare::NotEqual,
        operators::LESS => Compare::Less,
        operators::LESS_EQUALS => Compare::AtMost,
        operators::GREATER => Compare::Greater,
        operators::GREATER_EQUALS => Compare::AtLeast,
        _ => return None,
    })
}

fn arithmetic(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        _ => return None,
    })
}

fn compared<'n>(compare: Compare, left: &'n IdedExpr, right: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Truth> {
    let equality = matches!(compare, Compare::Equal | Compare::NotEqual);
    match (term(left, names)?, term(right, names)?) {
        (Term::Text(left), Term::Text(right)) => Ok(Truth::Texts(compare, left, right)),
        (Term::Number(left), Term::Number(right)) => Ok(Truth::Numbers(compare, left, right)),
        (Term::Truth(left), Term::Truth(right)) if equality => {
            let same = Truth::Same(Box::new([left, right]));
            Ok(if compare == Compare::Equal { same } else { Truth::Not(Box::new(same)) })
        }
        (Term::Text(_), other) => Err(mismatch(&show(right), &other, "a string, as on the other side,")),
        (Term::Number(_), other) => Err(mismatch(&show(right), &other, "an int, as on the other side,")),
        (Term::Truth(_), other) if equality => Err(mismatch(&show(right), &other, "a bool, as on the other side,")),
        (other, _) => Err(mismatch(&show(left), &other, "a string or an int")),
    }
}

fn choice<'n>(asked: &'n IdedExpr, then: &'n IdedExpr, other: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Term> {
    let asked = truth(asked, names)?;
    match (term(then, names)?, term(other, names)?) {
        (Term::Truth(then), Term::Truth(other)) => Ok(Term::Truth(Truth::Choose(Box::new([asked, then, other])))),
        (Term::Number(then), Term::Number(other)) => Ok(Term::Number(Number::Choose(Box::new((asked, then, other))))),
        (Term::Text(then), Term::Text(other)) => Ok(Term::Text(Text::Choose(Box::new((asked, then, other))))),
        (_, wrong) => {
            Err(mismatch(&show(other), &wrong, "a bool, an int or a string, the same on both sides of the colon,"))
        }
    }
}

fn membership<'n>(needle: &'n IdedExpr, hay: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Truth> {
    match (term(needle, names)?, term(hay, names)?) {
        (Term::Text(text), Term::Texts(list)) => Ok(Truth::Among(text, list)),
        (Term::Number(number), Term::Numbers(list)) => Ok(Truth::AmongNumbers(number, list)),
        (Term::Text(key), Term::Attributes) => Ok(Truth::HasAttribute(key)),
        (Term::Text(_), other) => Err(mismatch(&show(hay), &other, "a list of strings or a map")),
        (Term::Number(_), other) => Err(mismatch(&show(hay), &other, "a list of ints")),
        (other, _) => Err(mismatch(&show(needle), &other, "a string or an int")),
    }
}

fn index<'n>(whole: &'n IdedExpr, at: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Text> {
    match term(whole, names)? {
        Term::Attributes => Ok(Text::Attribute(Box::new(text(at, names)?))),
        Term::Texts(list) => Ok(Text::Item(Box::new((list, number(at, names)?)))),
        other => Err(mismatch(&show(whole), &other, "a list of strings or a map")),
    }
}

fn size<'n>(whole: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Number> {
    match term(whole, names)? {
        Term::Text(text) => Ok(Number::TextSize(text)),
        Term::Texts(list) => Ok(Number::ListSize(list)),
        Term::Attributes => Ok(Number::AttributesSize),
        other => Err(mismatch(&show(whole), &other, "a string, a list of strings or a map")),
    }
}

/// `all`, `exists` and `exists_one`, known by the last operation of each turn in the parser's expansion.
fn quantifier<'n>(loop_: &'n ComprehensionExpr, names: &mut Names<'n>) -> Lowered<Truth> {
    let Expr::Call(step) = &loop_.loop_step.expr else { return Err(no_map()) };
    let (quantifier, inner) = match (step.func_name.as_str(), step.args.as_slice()) {
        (operators::LOGICAL_AND, [_, inner]) => (Quantifier::All, inner),
        (operators::LOGICAL_OR, [_, inner]) => (Quantifier::Any, inner),
        (operators::CONDITIONAL, [inner, ..])
            if matches!(loop_.accu_init.expr, Expr::Literal(LiteralValue::Int(_))) =>
        {
            (Quantifier::One, inner)
        }
        _ => return Err(no_map()),
    };
    let list = match term(&loop_.iter_range, names)? {
        Term::Texts(list) => list,
        other => return Err(mismatch(&show(&loop_.iter_range), &other, "a list of strings")),
    };
    let depth = names.len();
    if depth >= LOCALS_MAX {
        return Err(ExpressionError::TooDeep);
    }
    names.push(&loop_.iter_var);
    let inner = truth(inner, names);
    names.pop();
    Ok(Truth::Each(quantifier, list, depth, Box::new(inner?)))
}

fn truth<'n>(expr: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Truth> {
    match term(expr, names)? {
        Term::Truth(truth) => Ok(truth),
        other => Err(mismatch(&show(expr), &other, "a bool")),
    }
}

fn number<'n>(expr: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Number> {
    match term(expr, names)? {
        Term::Number(number) => Ok(number),
        other => Err(mismatch(&show(expr), &other, "an int")),
    }
}

fn text<'n>(expr: &'n IdedExpr, names: &mut Names<'n>) -> Lowered<Text> {
    match term(expr, names)? {
        Term::Text(text) => Ok(text),
        other => Err(mismatch(&show(expr), &other, "a string")),
    }
}

fn mismatch(what: &str, found: &Term, needed: &'static str) -> ExpressionError {
    ExpressionError::Type { what: what.to_owned(), found: found.type_name(), needed }
}

fn unsupported(what: &str, instead: &'static str) -> ExpressionError {
    ExpressionError::Unsupported { what: what.to_owned(), instead }
}

fn no_map() -> ExpressionError {
    unsupported("map or filter", "; use all, exists or exists_one")
}

fn unknown(name: &str) -> ExpressionError {
    ExpressionError::UnknownFunction { name: name.to_owned() }
}

/// A part in a few words of CEL, for messages.
fn show(expr: &IdedExpr) -> String {
    match &expr.expr {
        Expr::Ident(name) => name.clone(),
        Expr::Literal(LiteralValue::String(text)) => format!("'{}'", text.inner().chars().take(32).collect::<String>()),
        Expr::Literal(LiteralValue::Int(value)) => value.inner().to_string(),
        Expr::Literal(LiteralValue::Boolean(value)) => value.inner().to_string(),
        Expr::Select(select) => format!("{}.{}", show(&select.operand), select.field),
        Expr::Call(called) if called.func_name.chars().all(char::is_alphanumeric) => format!("{}(…)", called.func_name),
        Expr::Call(called) => format!("the result of {}", called.func_name.trim_matches(['_', '@'])),
        Expr::List(_) => "the list".to_owned(),
        Expr::Literal(_) | Expr::Comprehension(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
            "this part".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::expression::read;

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_name() {
        let cases = [
            ("order.chanel == 'x'", "order has no field \"chanel\""),
            ("place.code == 'x'", "there is no \"place\""),
            ("order.channel", "order.channel is a string, a bool is needed"),
            ("order.units + 1", "the result of + is an int, a bool is needed"),
            ("order.units == '3'", "'3' is a string, an int, as on the other side, is needed"),
            ("order.channel > 3", "3 is an int, a string, as on the other side, is needed"),
            ("order == sku", "order is a variable with fields, a string or an int is needed"),
            ("order.units && true", "order.units is an int, a bool is needed"),
            ("!order.units", "order.units is an int, a bool is needed"),
            ("order.units * 1.5 > 2", "a number with a fraction cannot be used"),
            ("order.units > 2u", "an unsigned number cannot be used"),
            ("order.channel == null", "null cannot be used"),
            ("order.channel.matches('a*')", "a regular expression cannot be used"),
            ("order.channel.lower() == 'a'", "there is no function \"lower\""),
            ("timestamp('x') == 1", "there is no function \"timestamp\""),
            ("has(order.channel)", "has(order.channel) cannot be used here: the field is always there"),
            ("order.regions.map(r, r) == 1", "map or filter cannot be used"),
            ("order.regions.filter(r, true).size() == 1", "map or filter cannot be used"),
            ("order.regions.exists(r, r)", "r is a string, a bool is needed"),
            ("order.channel.exists(r, true)", "order.channel is a string, a list of strings is needed"),
            ("'a' in order.channel", "order.channel is a string, a list of strings or a map is needed"),
            ("order.units in ['a']", "the list is a list of strings, a list of ints is needed"),
            ("order.units in [1, 'a']", "'a' is a string, a string or an int, all of a list alike, is needed"),
            ("true ? 1 : 'a'", "'a' is a string, a bool, an int or a string"),
            ("sku.attributes == 1", "sku.attributes is a map"),
            ("order.channel.code == 'a'", "order.channel is a string, a variable with fields is needed"),
            ("order.channel == 'a' order", "Syntax error"),
            ("order.channel ==", "Syntax error"),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let nested = "order.regions.exists(a, order.regions.exists(b, order.regions.exists(c, a == c)))";
        assert!(read(nested).is_err());
    }
}
