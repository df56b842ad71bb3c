//! The gate that every call passes: who is it, may it call this method, may it now. Where neither authentication nor rates are configured it
//! stands open, for the price of one branch.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use parking_lot::Mutex;

use super::audit::{Audit, What, Whose};
use super::fetch::{self, From, Pace};
use super::identity::{Meter, Told};
use super::jwt::Jwt;
use super::principal::{Principal, Rate};
use super::rates::Rates;
use super::roles::{self, Reach, Rule};
use super::tokens::Tokens;
use super::{AuthError, Denial, Identity, digest_of};
use crate::admission::Priority;
use crate::config::Config;
use crate::methods::{MethodId, Methods};
use crate::reload::Reload;
use crate::security::{Figures, Files};
use crate::serve::Source;
use crate::shutdown::Stop;

/// Keys that it takes at run time.
const KEYS: &[&str] = &["tokens_file", "jwks_file", "rate_limit_per_caller", "rate_burst_per_caller"];

/// Longest token in bytes: JSON web tokens of large organisations have two thousand.
const TOKEN_BYTES_MAX: usize = 4 << 10;

/// The service whose calls leave no event, so that the log tells of them.
const ADMINISTRATION: &str = "quartermaster.v1.AdminService";

/// What finishes or frees a hold may be called so many times as often as the rest: a hold ends in one of four ways, and none may be kept back
/// by those that began it.
const SETTLE_FACTOR: u32 = 4;

/// Lets calls in. Shared by all connections.
pub struct Gate {
    /// None where callers need not prove who they are.
    authentication: Option<Authentication>,
    rules: Vec<Rule>,
    metrics_auth: bool,
    reflection_auth: bool,
    /// Calls a second and burst of who has no rate of its own, in one word; 0 for no bound.
    rate: AtomicU64,
    rates: Arc<Rates>,
    audit: Arc<Audit>,
    figures: Arc<Figures>,
}

struct Authentication {
    tokens: ArcSwap<Tokens>,
    jwt: Option<Arc<Jwt>>,
    keys_from: Option<From>,
    /// The files, and how they looked when they were read. Held while they are read, never on the way of a call.
    source: Mutex<Sources>,
}

struct Sources {
    tokens: Option<PathBuf>,
    keys: Option<PathBuf>,
    tokens_look: Files,
    keys_look: Files,
}

impl Gate {
    /// As `config` says.
    ///
    /// # Errors
    /// When a file of tokens or keys cannot be used.
    pub fn open(config: &Config, methods: &Methods, figures: &Arc<Figures>) -> Result<Arc<Gate>, AuthError> {
        let authentication = config.authenticates().then(|| Authentication::open(config, figures)).transpose()?;
        Ok(Arc::new(Gate {
            authentication,
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
        self.authentication.is_none() && self.rate.load(Ordering::Relaxed) == 0
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
    ) -> Result<(), Denial> {
        if self.stands_open() {
            return Ok(());
        }
        let rule = method.map_or(Rule::Known, |id| self.rules[id.index()]);
        if rule == Rule::Free {
            return Ok(());
        }
        let source = source_of(request);
        let what = What::Method(method);
        let principal = self.known(request.headers(), source, rule, what)?;
        let priority = method.map_or(Priority::Read, |id| methods.get(id).priority);
        let told = Told { audit: Arc::clone(&self.audit), network: source.network, method };
        let identity = Identity::new(principal.clone(), self.meter(principal.as_deref(), source, priority), told);
        identity.charge(1)?;
        let is_administration = method.is_some_and(|id| methods.get(id).service == ADMINISTRATION);
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
    pub(crate) fn admit_to_metrics<B>(&self, request: &Request<B>) -> Result<(), Denial> {
        if !self.metrics_auth {
            return Ok(());
        }
        let rule = Rule::Roles(roles::METRICS, Reach::Open);
        self.known(request.headers(), source_of(request), rule, What::Page("GET /metrics")).map(drop)
    }

    /// Lets in a reader of what describes the API, where reflection needs a token.
    ///
    /// # Errors
    /// When who asks is not known.
    pub(crate) fn admit_to_index<B>(&self, request: &Request<B>) -> Result<(), Denial> {
        if !self.reflection_auth {
            return Ok(());
        }
        self.known(request.headers(), source_of(request), Rule::Known, What::Page("GET /")).map(drop)
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
        let Some(authentication) = &self.authentication else { return Ok(None) };
        let principal = match token(headers)? {
            Some(token) => authentication.by_token(token, (&self.rates, source.network))?,
            None => {
                let known =
                    source.certificate.as_ref().map(|peer| authentication.tokens.load().by_certificate(peer).cloned());
                known.flatten().ok_or(Denial::TokenMissing)?
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
        if let Some(authentication) = &self.authentication {
            authentication.look(&self.figures);
        }
    }

    /// Fetches keys in the background until `stop`, where they have an address.
    pub(crate) fn fetch_keys(&self, stop: &Stop) {
        let Some(authentication) = &self.authentication else { return };
        if let (Some(From::Address(url)), Some(jwt)) = (&authentication.keys_from, &authentication.jwt) {
            let (url, jwt, figures) = (url.clone(), Arc::clone(jwt), Arc::clone(&self.figures));
            tokio::spawn(fetch::keep(url, jwt, figures, Pace::default(), stop.clone()));
        }
    }
}

impl Authentication {
    fn open(config: &Config, figures: &Figures) -> Result<Authentication, AuthError> {
        let jwt = Jwt::of(config).map(Arc::new);
        let keys_from = From::of(config).filter(|_| jwt.is_some());
        let source = Sources::of(config);
        let tokens = source.tokens.as_deref().map(Tokens::read).transpose()?.unwrap_or_default();
        tracing::info!(principals = tokens.len(), jwt = jwt.is_some(), "calls must prove who makes them");
        let authentication =
            Authentication { tokens: ArcSwap::from_pointee(tokens), jwt, keys_from, source: Mutex::new(source) };
        let keys = authentication.source.lock().keys.clone();
        authentication.read_keys(keys.as_ref(), figures)?;
        Ok(authentication)
    }

    fn by_token(&self, token: &str, from: (&Rates, std::net::IpAddr)) -> Result<Arc<Principal>, Denial> {
        let digest = digest_of(token.as_bytes());
        if let Some(principal) = self.tokens.load().by_token(&digest) {
            return Ok(Arc::clone(principal));
        }
        match &self.jwt {
            Some(jwt) if token.bytes().filter(|byte| *byte == b'.').count() == 2 => {
                jwt.verify(token, &digest, super::now(), from)
            }
            _ => Err(Denial::TokenUnknown),
        }
    }

    fn look(&self, figures: &Figures) {
        let mut source = self.source.lock();
        if source.tokens_look.changed()
            && let Some(path) = &source.tokens
        {
            let read = Tokens::read(path);
            figures.tokens_read(read.is_ok());
            match read {
                Ok(tokens) => {
                    tracing::info!(principals = tokens.len(), "the changed tokens are in force");
                    self.tokens.store(Arc::new(tokens));
                }
                Err(error) => tracing::error!(
                    error = %crate::security::with_causes(&error),
                    "the changed tokens cannot be used; those from before stay in force"
                ),
            }
        }
        if source.keys_look.changed() {
            match self.read_keys(source.keys.as_ref(), figures) {
                Ok(()) => tracing::info!("the changed keys of the issuer are in force"),
                Err(error) => tracing::error!(
                    error = %crate::security::with_causes(&error),
                    "the changed keys of the issuer cannot be used; those from before stay in force"
                ),
            }
        }
    }

    fn read_keys(&self, path: Option<&PathBuf>, figures: &Figures) -> Result<(), AuthError> {
        let (Some(path), Some(jwt)) = (path, &self.jwt) else { return Ok(()) };
        let keys = fetch::read(path);
        let now = i64::try_from(super::now()).unwrap_or(i64::MAX);
        figures.keys_read(keys.as_ref().ok().map(|keys| u64::try_from(keys.len()).unwrap_or(u64::MAX)), now);
        jwt.take_keys(keys?);
        Ok(())
    }
}

impl Sources {
    fn of(config: &Config) -> Sources {
        let (tokens, keys) = (config.tokens_file.clone(), config.jwks_file.clone());
        let (tokens_look, keys_look) = (Files::of(tokens.iter()), Files::of(keys.iter()));
        Sources { tokens, keys, tokens_look, keys_look }
    }
}

impl Reload for Gate {
    fn keys(&self) -> &'static [&'static str] {
        KEYS
    }

    fn check(&self, config: &Config) -> Result<(), String> {
        let told = |error: AuthError| crate::security::with_causes(&error);
        if config.authenticates() != self.authentication.is_some() {
            return Err("authentication cannot be switched on or off while the server runs; restart it".to_owned());
        }
        if let Some(authentication) = &self.authentication {
            config.tokens_file.as_deref().map(Tokens::read).transpose().map_err(told)?;
            if authentication.jwt.is_some() {
                config.jwks_file.as_ref().map(fetch::read).transpose().map_err(told)?;
            }
        }
        Ok(())
    }

    fn take(&self, config: &Config) -> Result<(), String> {
        self.check(config)?;
        let told = |error: AuthError| crate::security::with_causes(&error);
        if let Some(authentication) = &self.authentication {
            let sources = Sources::of(config);
            let tokens = sources.tokens.as_deref().map(Tokens::read).transpose().map_err(told)?.unwrap_or_default();
            let mut source = authentication.source.lock();
            authentication.read_keys(sources.keys.as_ref(), &self.figures).map_err(told)?;
            authentication.tokens.store(Arc::new(tokens));
            self.figures.tokens_read(true);
            *source = sources;
        }
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

fn source_of<B>(request: &Request<B>) -> &Source {
    request.extensions().get().expect("Invariant: the accept loop notes where every request comes from")
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
