//! Who calls: a name, what it may do, and what it is bound to.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What a caller is there for. The table of [`super::roles`] says what each may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sells: reserves, confirms, routes.
    Gateway,
    /// Works at locations: ships, receives, counts, takes returns.
    Store,
    /// Runs the business: catalogue, stock, policies, campaigns.
    Operator,
    /// Reads and asks why.
    Analyst,
    /// May do everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::Gateway, Role::Store, Role::Operator, Role::Analyst, Role::Admin];

    /// As files and claims name it.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Store => "store",
            Role::Operator => "operator",
            Role::Analyst => "analyst",
            Role::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Role::Gateway => 1,
            Role::Store => 2,
            Role::Operator => 4,
            Role::Analyst => 8,
            Role::Admin => 16,
        }
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Role, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

/// Some roles.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// These.
    pub const fn of(roles: &[Role]) -> Roles {
        let (mut bits, mut place) = (0, 0);
        while place < roles.len() {
            bits |= roles[place].bit();
            place += 1;
        }
        Roles(bits)
    }

    /// These and another.
    #[must_use]
    pub const fn and(self, role: Role) -> Roles {
        Roles(self.0 | role.bit())
    }

    /// Whether one of them is among `others`.
    pub const fn meets(self, others: Roles) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, in their order.
    pub fn each(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.0 & role.bit() != 0)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<&str> = self.each().map(Role::name).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roles({self})")
    }
}

impl<'a> FromIterator<&'a Role> for Roles {
    fn from_iter<I: IntoIterator<Item = &'a Role>>(roles: I) -> Roles {
        roles.into_iter().fold(Roles::default(), |all, role| all.and(*role))
    }
}

/// Codes of channels or locations that a caller is bound to; none when it is bound to no particular ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound(Option<BTreeSet<String>>);

impl Bound {
    /// Bound to these alone, which may be none.
    pub fn to(codes: impl IntoIterator<Item = String>) -> Bound {
        Bound(Some(codes.into_iter().collect()))
    }

    /// Whether it is bound at all.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Whether `code` is within.
    pub fn allows(&self, code: &str) -> bool {
        self.0.as_ref().is_none_or(|codes| codes.contains(code))
    }

    /// The one code it is bound to, if it is one.
    pub fn single(&self) -> Option<&str> {
        let codes = self.0.as_ref().filter(|codes| codes.len() == 1)?;
        codes.first().map(String::as_str)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("all"),
            Some(codes) if codes.is_empty() => f.write_str("none"),
            Some(codes) => {
                let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
                f.write_str(&codes.join(", "))
            }
        }
    }
}

/// How often a caller may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second, at least 1.
    pub per_second: u32,
    /// Calls that may be saved up, at least 1.
    pub burst: u32,
}

/// A caller that has proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What the journal calls it: 1 to 128 bytes.
    pub name: String,
    /// What it is there for.
    pub roles: Roles,
    /// Channels it is bound to.
    pub channels: Bound,
    /// Locations it is bound to.
    pub locations: Bound,
    /// When its proof ends, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// Its own rate; none for that of the configuration. A rate of 0 calls a second is no bound.
    pub rate: Option<Rate>,
}

impl Principal {
    /// Whether it is bound to channels or locations.
    pub fn is_bound(&self) -> bool {
        self.channels.is_set() || self.locations.is_set()
    }
}

/// Longest name of a principal in bytes: two request ids, and little beside an event.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// What is wrong with a name, if anything is.
pub(super) fn problem_with_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Some("names have 1 to 128 bytes");
    }
    name.chars().any(char::is_control).then_some("names have no control characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_meet_where_they_share_one() {
        let both = Roles::of(&[Role::Store, Role::Admin]);
        assert!(both.meets(Roles::of(&[Role::Admin])) && !both.meets(Roles::of(&[Role::Gateway, Role::Analyst])));
        assert!(!Roles::default().meets(Roles::of(&Role::ALL)));
        assert_eq!([both.to_string(), Roles::default().to_string()], ["store, admin", "none"]);
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }

    #[test]
    fn bound_to_nothing_is_not_unbound() {
        let bound = |codes: &[&str]| Bound::to(codes.iter().map(|code| (*code).to_owned()));
        assert!(Bound::default().allows("web") && !Bound::default().is_set());
        assert!(bound(&["web"]).allows("web") && !bound(&["web"]).allows("app") && !bound(&["web"]).allows(""));
        assert!(!bound(&[]).allows("web") && bound(&[]).is_set());
        assert_eq!(
            (bound(&["web"]).single(), bound(&["a", "b"]).single(), bound(&[]).single()),
            (Some("web"), None, None)
        );
    }
}
