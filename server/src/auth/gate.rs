//! The gate that every call passes: who is it, may it call this method, may it now. Where neither authentication nor rates are configured it
//! stands open, for the price of one branch.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};

use super::audit::{Audit, What, Whose};
use super::identity::{Meter, Told};
use super::known::Known;
use super::principal::{Principal, Rate};
use super::rates::Rates;
use super::roles::{self, Reach, Rule};
use super::{AuthError, Denial, Identity};
use crate::admission::Priority;
use crate::causes::with_causes;
use crate::config::Config;
use crate::methods::{MethodId, Methods};
use crate::reload::Reload;
use crate::security::Figures;
use crate::serve::Source;
use crate::shutdown::Stop;

/// Keys that it takes at run time.
const KEYS: &[&str] = &["tokens_file", "jwks_file", "rate_limit_per_caller", "rate_burst_per_caller"];

/// Longest token in bytes: JSON web tokens of large organisations have two thousand.
const TOKEN_BYTES_MAX: usize = 4 << 10;

/// What finishes or frees a hold may be called so many times as often as the rest: a hold ends in one of four ways, and none may be kept back
/// by those that began it.
const SETTLE_FACTOR: u32 = 4;

/// Lets calls in. Shared by all connections.
pub struct Gate {
    /// None where callers need not prove who they are.
    known: Option<Known>,
    rules: Vec<Rule>,
    metrics_auth: bool,
    reflection_auth: bool,
    /// Calls a second and burst of who has no rate of its own, in one word; 0 for no bound.
    rate: AtomicU64,
    rates: Arc<Rates>,
    audit: Arc<Audit>,
    figures: Arc<Figures>,
}

impl Gate {
    /// As `config` says.
    ///
    /// # Errors
    /// When a file of tokens or keys cannot be used.
    pub fn open(config: &Config, methods: &Methods, figures: &Arc<Figures>) -> Result<Arc<Gate>, AuthError> {
        let known = config.authenticates().then(|| Known::open(config, figures)).transpose()?;
        Ok(Arc::new(Gate {
            known,
            rules: roles::rules(methods, config.reflection_auth),
            metrics_auth: config.metrics_auth,
            reflection_auth: config.reflection_auth,
            rate: AtomicU64::new(packed(config)),
            rates: Arc::new(Rates::new()),
            audit: Arc::new(Audit::new(methods, figures)),
            figures: Arc::clone(figures),
        }))
    }

    /// Whether a call by nobody in particular may do everything.
    fn stands_open(&self) -> bool {
        self.known.is_none() && self.rate.load(Ordering::Relaxed) == 0
    }

    /// Lets in a call of `method`, and puts who makes it among the extensions of its request.
    ///
    /// # Errors
    /// When who makes it is not known, may not, or may not so often.
    pub(crate) fn admit<B>(
        &self,
        method: Option<MethodId>,
        methods: &Methods,
        request: &mut Request<B>,
        source: &Source,
    ) -> Result<(), Denial> {
        if self.stands_open() {
            return Ok(());
        }
        let rule = method.map_or(Rule::Known, |id| self.rules[id.index()]);
        if rule == Rule::Free {
            return Ok(());
        }
        let what = What::Method(method);
        let principal = self.known(request.headers(), source, rule, what)?;
        let priority = method.map_or(Priority::Read, |id| methods.get(id).priority);
        let told = Told { audit: Arc::clone(&self.audit), network: source.network, method };
        let identity = Identity::new(principal.clone(), self.meter(principal.as_deref(), source, priority), told);
        identity.charge(1)?;
        let is_administration = method.is_some_and(|id| methods.get(id).is_administration());
        if is_administration && matches!(rule, Rule::Roles(_, Reach::Whole)) {
            self.audit.administered(Whose { actor: identity.name(), network: source.network, what });
        }
        request.extensions_mut().insert(identity);
        Ok(())
    }

    /// Lets in a reader of the page with the figures, where that needs a token.
    ///
    /// # Errors
    /// When who asks is not known, or may not.
    pub(crate) fn admit_to_metrics(&self, headers: &HeaderMap, source: &Source) -> Result<(), Denial> {
        if !self.metrics_auth {
            return Ok(());
        }
        let rule = Rule::Roles(roles::METRICS, Reach::Open);
        self.known(headers, source, rule, What::Page("GET /metrics")).map(drop)
    }

    /// Lets in a reader of what describes the API, where reflection needs a token.
    ///
    /// # Errors
    /// When who asks is not known.
    pub(crate) fn admit_to_description(&self, headers: &HeaderMap, source: &Source) -> Result<(), Denial> {
        if !self.reflection_auth {
            return Ok(());
        }
        self.known(headers, source, Rule::Known, What::Page("GET a description of the API")).map(drop)
    }

    /// Who makes a request, and may; none where that does not matter.
    fn known(
        &self,
        headers: &HeaderMap,
        source: &Source,
        rule: Rule,
        what: What,
    ) -> Result<Option<Arc<Principal>>, Denial> {
        let denied = |actor: &str, denial: Denial| {
            self.audit.refused(Whose { actor, network: source.network, what }, &denial);
            denial
        };
        let principal = self.who(headers, source).map_err(|denial| denied("", denial))?;
        if let Some(principal) = &principal {
            may(principal, rule, self.audit.called(what)).map_err(|denial| denied(&principal.name, denial))?;
        }
        Ok(principal)
    }

    /// Who makes a request; none where that does not matter.
    fn who(&self, headers: &HeaderMap, source: &Source) -> Result<Option<Arc<Principal>>, Denial> {
        let Some(known) = &self.known else { return Ok(None) };
        let principal = match token(headers)? {
            Some(token) => known.by_token(token, (&self.rates, source.network))?,
            None => {
                let shown = source.certificate.as_ref();
                shown.and_then(|peer| known.by_certificate(peer)).ok_or(Denial::TokenMissing)?
            }
        };
        if principal.expires_at.is_some_and(|end| super::now() >= end) {
            return Err(Denial::TokenExpired);
        }
        Ok(Some(principal))
    }

    /// What calls are booked on; none where they are not counted.
    fn meter(&self, principal: Option<&Principal>, source: &Source, priority: Priority) -> Option<Meter> {
        let own = principal.and_then(|principal| principal.rate);
        let rate = own.or_else(|| unpacked(self.rate.load(Ordering::Relaxed))).filter(|rate| rate.per_second > 0)?;
        let settles = priority == Priority::Settle;
        let place = match principal {
            Some(principal) => self.rates.place((&principal.name, settles)),
            None => self.rates.place((source.network, settles)),
        };
        let times = |calls: u32| if settles { calls.saturating_mul(SETTLE_FACTOR) } else { calls };
        let rate = Rate { per_second: times(rate.per_second), burst: times(rate.burst) };
        Some(Meter { rates: Arc::clone(&self.rates), place, rate })
    }

    /// Reads the files again that changed; tells of it.
    pub fn look(&self) {
        self.known.iter().for_each(|known| known.look(&self.figures));
    }

    /// Fetches keys in the background until `stop`, where they have an address.
    pub(crate) fn fetch_keys(&self, stop: &Stop) {
        self.known.iter().for_each(|known| known.fetch_keys(&self.figures, stop));
    }
}

impl Reload for Gate {
    fn keys(&self) -> &'static [&'static str] {
        KEYS
    }

    fn check(&self, config: &Config) -> Result<(), String> {
        if config.authenticates() != self.known.is_some() {
            return Err("authentication cannot be switched on or off while the server runs; restart it".to_owned());
        }
        let known = self.known.as_ref();
        known.map_or(Ok(()), |known| known.check(config)).map_err(|error| with_causes(&error))
    }

    fn take(&self, config: &Config) -> Result<(), String> {
        let known = self.known.as_ref();
        known.map_or(Ok(()), |known| known.take(config, &self.figures)).map_err(|error| with_causes(&error))?;
        self.rate.store(packed(config), Ordering::Relaxed);
        Ok(())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("stands_open", &self.stands_open()).finish_non_exhaustive()
    }
}

/// Whether `principal` may call a method with this rule.
fn may(principal: &Principal, rule: Rule, name: &str) -> Result<(), Denial> {
    let Rule::Roles(needed, reach) = rule else { return Ok(()) };
    if !principal.roles.meets(needed) {
        return Err(Denial::Role { method: short(name), needed, has: principal.roles });
    }
    let bound = if principal.channels.is_set() && !reach.honours_channels() {
        format!("channels {}, which it does not look at", principal.channels)
    } else if principal.locations.is_set() && !reach.honours_locations() {
        format!("locations {}, which it does not look at", principal.locations)
    } else {
        return Ok(());
    };
    Err(Denial::Scope { what: "method", value: short(name), bound })
}

/// "AllocationService/Reserve" of the full name.
fn short(name: &str) -> String {
    name.trim_start_matches("quartermaster.v1.").to_owned()
}

/// The bearer token of a request; none when it has no authorization at all.
fn token(headers: &HeaderMap) -> Result<Option<&str>, Denial> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none()).ok_or(Denial::TokenMalformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(Denial::TokenMalformed)?;
    let token = token.trim();
    let right = scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_BYTES_MAX).contains(&token.len());
    if right { Ok(Some(token)) } else { Err(Denial::TokenMalformed) }
}

/// Rate and burst in one word, so that both change at once.
fn packed(config: &Config) -> u64 {
    match config.rate_limit_per_caller {
        0 => 0,
        rate => u64::from(rate) << 32 | u64::from(config.rate_burst_per_caller),
    }
}

fn unpacked(word: u64) -> Option<Rate> {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (word != 0).then(|| Rate { per_second: half(word >> 32), burst: half(word) })
}
