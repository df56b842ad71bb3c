//! Policies from text to answers: documents, what is wrong with them, what is odd about them, and what they decide.

use proptest::prelude::*;
use quartermaster_routing::{LocationId, Money, Objective};
use quartermaster_sourcing::fulfilment::Capabilities;
use quartermaster_sourcing::order::Goods;
use quartermaster_sourcing::policy::{
    Codes, Document, DocumentError, Format, OrderFacts, PlaceFacts, Places, Policy, Removed, Severity, choose, lint,
};

const FULL_TOML: &str = include_str!("policies/full.toml");
const FULL_JSON: &str = include_str!("policies/full.json");

/// Six places in two regions of one country; the third is closed.
struct Town {
    channels: Vec<String>,
}

const PLACES: [(&str, &str, &str, u32, u32); 6] = [
    ("DC-N", "distribution_centre", "BJ", 1, Capabilities::SHIP | Capabilities::DANGEROUS_GOODS),
    ("FW-S", "forward_warehouse", "SH", 2, 0),
    ("ST-1", "store", "SH", 3, Capabilities::SHIP | Capabilities::PICKUP),
    ("ST-2", "store", "BJ", 4, Capabilities::PICKUP),
    ("SUP", "supplier", "", 9, Capabilities::SHIP),
    ("3PL", "third_party", "SH", 5, Capabilities::SHIP),
];

impl Places for Town {
    fn count(&self) -> usize {
        PLACES.len()
    }

    fn facts(&self, location: LocationId) -> PlaceFacts<'_> {
        let (code, kind, region, priority, capabilities) = PLACES[usize::try_from(location.0).unwrap()];
        PlaceFacts {
            code,
            kind,
            priority,
            capabilities: Capabilities(capabilities),
            channels: if kind == "store" { &self.channels } else { &[] },
            regions: if region.is_empty() { Codes::new() } else { Codes::from_slice(&[region, "CN"]) },
            open: code != "ST-1",
        }
    }

    fn has_region(&self, code: &str) -> bool {
        ["CN", "SH", "BJ"].contains(&code)
    }

    fn location(&self, code: &str) -> Option<LocationId> {
        (0..6).map(LocationId).find(|place| self.facts(*place).code == code)
    }

    fn has_channel(&self, code: &str) -> bool {
        ["app", "tmall"].contains(&code)
    }
}

fn town() -> Town {
    Town { channels: vec!["app".to_owned()] }
}

fn document(more: &str) -> Document {
    Document::read(&format!("name = 'p'\ncurrency = 'CNY'\n{more}"), Format::Toml).unwrap()
}

fn policy(more: &str) -> Policy {
    Policy::compile(document(more), 1, &town()).unwrap()
}

fn order() -> OrderFacts<'static> {
    OrderFacts { channel: "app", regions: &["SH", "CN"], units: 3, lines: 2, ..OrderFacts::default() }
}

fn codes(set: &quartermaster_sourcing::bits::LocationSet) -> Vec<&'static str> {
    set.iter().map(|place| PLACES[usize::try_from(place.0).unwrap()].0).collect()
}

#[test]
fn toml_and_json_say_the_same_and_the_canonical_text_is_stable() {
    let document = Document::read_any(FULL_TOML).unwrap();
    assert_eq!(document, Document::read_any(FULL_JSON).unwrap());
    assert_eq!(document.to_json(), FULL_JSON.trim_end());
    assert_eq!(document.refusal_cooldown.seconds(), 4 * 3600);
    let findings = lint(&document, &town(), Some(Money(900)));
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:#?}");
}

#[test]
fn text_that_is_no_document_says_where() {
    let cases = [
        ("name = 'a'\ncurrency = 'CNY'\nprize = 3\n", 3, "unknown field `prize`"),
        ("name = 'a'\ncurrency = 'CNY'\n\n  partial = 'no'\n", 4, "expected a boolean"),
        ("name = 'a'\n", 1, "missing field `currency`"),
        ("name = 'a'\ncurrency = 'CNY'\nobjective = ['cost', 'units']\n", 3, "whole_lines"),
        ("name = 'a'\ncurrency = 'CNY'\nrefusal_cooldown = '4 hours'\n", 3, "as in 4h"),
        ("{\"name\": \"a\",\n \"currency\": 3}", 2, "expected a string"),
        ("{\"name\": \"a\", \"currency\": \"CNY\", \"prices\": {\"late\": 1}}", 1, "unknown field `late`"),
        ("name = = 3", 1, ""),
    ];
    for (text, expected, words) in cases {
        let Err(DocumentError::Malformed { line, message, .. }) = Document::read_any(text) else { panic!("{text}") };
        assert!(line == expected && message.contains(words), "{text}: {line}: {message}");
    }
    let long = format!("name = '{}'", "a".repeat(1 << 20));
    assert!(matches!(Document::read_any(&long), Err(DocumentError::TooLong { .. })));
    assert!(Document::read_any(&"[".repeat(200_000)).is_err());
    assert!(Document::read_any(&"{\"prices\":".repeat(20_000)).is_err());
}

#[test]
fn everything_wrong_is_told_with_its_path() {
    let rule = |text: &str| format!("rules = [{{ name = 'r', exclude = \"{text}\" }}]");
    let cases = [
        ("nodes_max = 0".to_owned(), "nodes_max: is 0: 1 to 10000000 is allowed"),
        ("parcels_max = 0".to_owned(), "parcels_max: is 0"),
        ("scope = { channels = [''] }".to_owned(), "scope.channels[0]: has 0 bytes"),
        ("prices = { late_hour = -1 }".to_owned(), "prices.late_hour: is -1"),
        ("prices = { last_pieces = { at = 0, price = 1 } }".to_owned(), "prices.last_pieces.at: is 0"),
        (
            "prices = { ageing = [{ days = 9, bonus = 1 }, { days = 9, bonus = 2 }] }".to_owned(),
            "prices.ageing[1].days: must be greater",
        ),
        ("prices = { cover = [{ weeks_over = 1, price = 2 }] }".to_owned(), "prices.cover[0]: must have either"),
        (
            "prices = { capacity_pressure = [{ used_percent = 0, price = 2 }] }".to_owned(),
            "prices.capacity_pressure[0].used_percent: is 0",
        ),
        (
            "rules = [{ name = 'a', exclude = 'true' }, { name = 'a', exclude = 'true' }]".to_owned(),
            "rules[1].name: the name \"a\" is taken",
        ),
        (
            "fallbacks = [{ name = 'a', ignore_rules = ['x'] }]".to_owned(),
            "fallbacks[0].ignore_rules[0]: there is no rule \"x\"",
        ),
        ("fallbacks = [{ name = 'a', next = 'x' }]".to_owned(), "fallbacks[0].next: there is no fallback \"x\""),
        ("next = 'x'".to_owned(), "next: there is no fallback \"x\""),
        (
            "fallbacks = [{ name = 'a', next = 'a' }]".to_owned(),
            "fallbacks[0].next: the fallbacks go round in a circle: a -> a",
        ),
        (
            "fallbacks = [{ name = 'a' }, { name = 'b' }, { name = 'c', next = 'a' }]".to_owned(),
            "circle: a -> b -> c -> a",
        ),
        (
            "preferences = [{ name = 'a', when = \"sku.code == 'x'\", parcel_price = 1 }]".to_owned(),
            "preferences[0].parcel_price: a price per parcel cannot depend on the SKU",
        ),
        ("where = 'order'".to_owned(), "where: order is a variable with fields, a bool is needed"),
        (rule("location.sort == 'x'"), "rules[0].exclude: location has no field \"sort\""),
        (rule("order.chanel == 'x'"), "rules[0].exclude: order has no field \"chanel\""),
        (rule(&"(".repeat(1000)), "rules[0].exclude: the expression is nested too deeply"),
        (rule(&" ".repeat(5000)), "rules[0].exclude: the expression has 5000 bytes"),
        ("fallbacks = [{ name = 'a', where = '1' }]".to_owned(), "fallbacks[0].where: 1 is an int"),
    ];
    for (more, message) in cases {
        let errors = Policy::compile(document(&more), 1, &town()).unwrap_err();
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert!(texts.len() == 1 && texts[0].contains(message), "{more}: {texts:?}");
    }
    let mut all = document(&format!("nodes_max = 0\n{}", rule("1")));
    all.name = "n".repeat(65);
    all.currency = "cny".to_owned();
    let paths: Vec<_> = Policy::compile(all, 1, &town()).unwrap_err().into_iter().map(|error| error.path).collect();
    assert_eq!(paths, ["name", "currency", "nodes_max", "rules[0].exclude"]);
}

#[test]
fn each_finding_is_found() {
    let rule = |text: &str| format!("rules = [{{ name = 'r', exclude = \"{text}\" }}]");
    let wish = |text: &str| format!("preferences = [{text}]");
    let cases = [
        (
            rule("location.kind == 'store' && location.kind == 'supplier'"),
            "rules[0].exclude",
            "conditions on location.kind leave no value",
        ),
        (
            rule("order.mode in ['ship'] && order.mode != 'ship'"),
            "rules[0].exclude",
            "conditions on order.mode leave no value",
        ),
        (rule("order.units > 5 && order.units < 5"), "rules[0].exclude", "conditions on a number leave no value"),
        (rule("order.units > 5 && !(order.units > 5)"), "rules[0].exclude", "for its opposite"),
        (rule("false && order.units > 5"), "rules[0].exclude", "it says false"),
        (rule("location.priority > 50"), "rules[0].exclude", "it matches no place"),
        (rule("order.units > 5 || location.priority > 50"), "rules[0].exclude", "part 2 of its || can never be true"),
        (rule("location.priority > 0"), "rules[0].exclude", "removes every place from every order"),
        (rule("location.priority > 0"), "rules", "no place is left in the step \"p\""),
        (rule("location.priority / 0 == 1"), "rules[0].exclude", "has no answer for 6 places"),
        (rule("location.kind == 'shop'"), "rules[0].exclude", "there is no kind of place \"shop\""),
        (rule("order.mode == 'fly'"), "rules[0].exclude", "there is no mode \"fly\""),
        (rule("location.code in ['DC-N', 'X']"), "rules[0].exclude", "there is no place \"X\""),
        (rule("'XX' in order.regions"), "rules[0].exclude", "there is no region \"XX\""),
        (rule("order.channel == 'ebay'"), "rules[0].exclude", "there is no channel \"ebay\""),
        (rule("!('fly' in location.capabilities)"), "rules[0].exclude", "there is no capability \"fly\""),
        (rule("location.region == order.region"), "rules[0].exclude", "evaluated for each candidate"),
        (rule("location.kind == 'store'"), "rules", "1 places are removed in every step, for every order: ST-2"),
        (rule("order.units"), "rules[0].exclude", "order.units is an int"),
        (
            format!("scope = {{ channels = ['app'] }}\n{}", rule("order.channel == 'tmall'")),
            "rules[0].exclude",
            "conditions on order.channel leave no value",
        ),
        (String::new(), "", "1 places are not open"),
        (wish("{ name = 'a', when = 'true' }"), "preferences[0]", "has no price"),
        (
            wish("{ name = 'a', when = 'true', unit_price = 3 }, { name = 'b', when = 'true', unit_price = -3 }"),
            "preferences[1]",
            "cancels the preference \"a\"",
        ),
        ("scope = { channels = ['ebay'] }".to_owned(), "scope.channels[0]", "there is no channel \"ebay\""),
        ("fallbacks = [{ name = 'a', parcels_max = 2 }]".to_owned(), "fallbacks[0]", "can never help"),
        (
            "where = 'location.priority > 3'\nfallbacks = [{ name = 'a', where = 'location.priority > 3' }]".to_owned(),
            "fallbacks[0]",
            "can never help",
        ),
        (
            "next = 'b'\nparcels_max = 1\nfallbacks = [{ name = 'a' }, { name = 'b' }]".to_owned(),
            "fallbacks[0]",
            "\"a\" is never reached",
        ),
        ("prices = { unserved_unit = 100 }".to_owned(), "prices.unserved_unit", "would rather go unserved"),
        (
            "prices = { unserved_unit = 1000, last_pieces = { at = 1, price = 1001 } }".to_owned(),
            "prices.last_pieces.price",
            "more than an unserved unit costs",
        ),
        ("merge = { window = '0s' }".to_owned(), "merge.window", "nothing is merged"),
    ];
    for (more, path, message) in cases {
        let findings = lint(&document(&more), &town(), Some(Money(900)));
        let found = findings.iter().any(|finding| finding.path == path && finding.message.contains(message));
        assert!(found, "{more}: {findings:#?}");
    }
    let quiet = [
        "parcels_max = 1\nfallbacks = [{ name = 'a' }]",
        "where = 'location.priority > 3'\nfallbacks = [{ name = 'a' }]",
        "partial = false\nfallbacks = [{ name = 'a', partial = true }]",
        "fallbacks = [{ name = 'a', objective = ['units', 'cost'] }]",
        "fallbacks = [{ name = 'a', ignore_rules = ['r'] }]\nrules = [{ name = 'r', exclude = 'location.priority > 8' }]",
        "rules = [{ name = 'r', exclude = \"order.units > 5 && order.units < 9 && location.kind != 'store'\" }]",
    ];
    for more in quiet {
        let findings = lint(&document(more), &town(), Some(Money(900)));
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{more}: {findings:#?}");
    }
}

#[test]
fn the_example_answers_step_by_step() {
    let (policy, town, order) =
        (Policy::compile(Document::read_any(FULL_TOML).unwrap(), 7, &town()).unwrap(), town(), order());
    let steps = policy.steps();
    let limits: Vec<_> =
        steps.iter().map(|step| (step.name(), step.parcels_max(), step.partial(), step.objective())).collect();
    let money = Objective::Money;
    let expected = [
        ("city-first", Some(1), false, money),
        ("anywhere", None, false, money),
        ("what can be had", None, true, money),
    ];
    assert_eq!(limits, expected);
    let bound = policy.for_order(&order, &town);
    assert_eq!(codes(&bound.eligible(&steps[0])), ["FW-S", "ST-1", "ST-2", "3PL"]);
    assert_eq!(codes(&bound.eligible(&steps[2])), ["DC-N", "FW-S", "ST-1", "ST-2", "3PL"]);
    assert!(bound.has_mixed_rules(&steps[0]) && !bound.has_mixed_rules(&steps[1]));
    assert_eq!(bound.candidate_excluded_by(&steps[0], LocationId(1), None), None);
    assert_eq!(bound.candidate_excluded_by(&steps[0], LocationId(3), None), Some(Removed::Where));
    assert_eq!(policy.reason(&steps[0], Removed::Where).1, "location.region in order.regions");
    assert_eq!(bound.excluded_by(&steps[1], LocationId(0)), Some(Removed::Rule(4)));
    assert_eq!(bound.excluded_by(&steps[1], LocationId(4)), Some(Removed::Rule(0)));
    assert_eq!(policy.reason(&steps[1], Removed::Rule(0)).0, "suppliers serve large orders only");

    let goods = Goods { dangerous_goods: "9", temperature: "frozen", ..Goods::default() };
    let line = bound.line(&goods);
    assert_eq!(line.excluded_by(&steps[2], LocationId(0), Some(50_000)), None);
    assert_eq!(line.excluded_by(&steps[2], LocationId(0), Some(50_001)), Some(Removed::Rule(3)));
    assert_eq!(line.excluded_by(&steps[2], LocationId(0), None), None);
    assert_eq!(line.excluded_by(&steps[2], LocationId(1), None), Some(Removed::Rule(2)));
    assert_eq!((bound.parcel_price(LocationId(2), None), line.unit_price(LocationId(4), None)), (Money(400), Money(0)));
    let gold = OrderFacts { buyer_tier: "gold", units: 50, ..order };
    let bound = policy.for_order(&gold, &town);
    let brand = [("brand".into(), "own".into())];
    let own = Goods { attributes: &brand, ..Goods::default() };
    assert_eq!(
        (bound.parcel_price(LocationId(1), None), bound.line(&own).unit_price(LocationId(4), None)),
        (Money(-300), Money(-50))
    );
    assert!(bound.eligible(&steps[1]).contains(LocationId(4)));
}

#[test]
fn what_has_no_answer_removes_nothing_charges_nothing_and_keeps_nothing() {
    let policy = policy(
        "where = \"sku.attributes.kind == 'x' || location.code == 'SUP'\"
        rules = [{ name = 'r', exclude = \"sku.attributes.a == 'x'\" }]
        preferences = [{ name = 'p', when = \"sku.attributes.b == 'x' && location.code == 'DC-N'\", unit_price = 5 }]",
    );
    let (town, order, goods) = (town(), order(), Goods::default());
    let bound = policy.for_order(&order, &town);
    let line = bound.line(&goods);
    let step = &policy.steps()[0];
    assert_eq!(line.excluded_by(step, LocationId(0), None), Some(Removed::Where));
    assert_eq!(line.excluded_by(step, LocationId(4), None), None);
    assert_eq!((line.unit_price(LocationId(0), None), bound.unanswered()), (Money(0), 3));
}

#[test]
fn an_order_without_a_say_costs_no_set() {
    let policy = policy("rules = [{ name = 'r', exclude = \"location.kind == 'store'\" }]");
    let (town, order) = (town(), order());
    let bound = policy.for_order(&order, &town);
    let step = &policy.steps()[0];
    assert!(matches!(bound.eligible(step), std::borrow::Cow::Borrowed(_)));
    assert!(
        !bound.has_mixed_rules(step)
            && !bound.has_line_rules(step)
            && !bound.has_parcel_prices()
            && !bound.has_unit_prices()
    );
    let built_in = Policy::built_in(&town);
    assert_eq!((built_in.name(), built_in.version(), built_in.steps().len()), ("default", 0, 1));
    assert_eq!(built_in.for_order(&order, &town).eligible(&built_in.steps()[0]).iter().count(), 6);
}

#[test]
fn a_policy_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&policy(""));
}

#[test]
fn the_closest_scope_is_chosen() {
    let with = |name: &str, version: u32, scope: &str| {
        let text = format!("name = '{name}'\ncurrency = 'CNY'\nscope = {{ {scope} }}");
        Policy::compile(Document::read_any(&text).unwrap(), version, &town()).unwrap()
    };
    let policies = [
        with("any", 1, ""),
        with("tier", 1, "buyer_tiers = ['gold']"),
        with("type", 1, "order_types = ['retail']"),
        with("type-and-tier", 1, "order_types = ['retail'], buyer_tiers = ['gold']"),
        with("z-app", 1, "channels = ['app']"),
        with("app", 1, "channels = ['app', 'tmall']"),
        with("app", 2, "channels = ['app']"),
    ];
    let chosen =
        |channel, kind, tier| choose(&policies, channel, kind, tier).map(|policy| (policy.name(), policy.version()));
    assert_eq!(chosen("app", "retail", "gold"), Some(("app", 2)));
    assert_eq!(chosen("jd", "retail", "gold"), Some(("type-and-tier", 1)));
    assert_eq!(chosen("jd", "retail", ""), Some(("type", 1)));
    assert_eq!(chosen("jd", "", "gold"), Some(("tier", 1)));
    assert_eq!(chosen("", "", ""), Some(("any", 1)));
    assert_eq!(choose(&policies[1..], "jd", "", "").map(Policy::name), None);
    assert_eq!(
        choose(policies.iter().rev(), "app", "", "").map(|policy| (policy.name(), policy.version())),
        Some(("app", 2))
    );
}

fn tests() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "location.kind == 'store'",
        "location.priority > 3",
        "'pickup' in location.capabilities",
        "location.region == 'SH'",
        "location.priority / 0 == 1",
        "order.units > 2",
        "order.channel == 'jd'",
        "order.lines / 0 == 1",
        "'SH' in order.regions",
        "location.region == order.region",
        "location.priority > order.units",
        "sku.weight_grams == 0",
        "sku.attributes.x == 'y'",
        "sku.code == location.code",
        "distance_metres > 10",
        "true",
        "!(order.channel == 'app')",
    ])
    .prop_map(str::to_owned)
}

fn expressions() -> impl Strategy<Value = String> {
    tests().prop_recursive(3, 12, 3, |inner| {
        (prop::collection::vec(inner, 2..4), prop::sample::select(vec![" && ", " || "]))
            .prop_map(|(parts, join)| parts.into_iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(join))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// However an expression is cut, what is left of the places is what asking it whole for each candidate leaves: the same
    /// expression chosen by a condition on everything, which always holds, is cut nowhere.
    #[test]
    fn cut_and_whole_agree(text in expressions()) {
        let (town, order, goods) = (town(), order(), Goods { code: "SUP", ..Goods::default() });
        let cut = policy(&format!("rules = [{{ name = 'r', exclude = \"{text}\" }}]"));
        let whole = format!("(location.priority + order.lines + sku.weight_grams + distance_metres > -9) ? ({text}) : false");
        let whole = policy(&format!("rules = [{{ name = 'r', exclude = \"{whole}\" }}]"));
        let kept = policy(&format!("where = \"{text}\""));
        let removed = |policy: &Policy, place| {
            let bound = policy.for_order(&order, &town);
            let step = &policy.steps()[0];
            let first = bound.excluded_by(step, place);
            assert_eq!(first.is_none(), bound.eligible(step).contains(place));
            first.or_else(|| bound.candidate_excluded_by(step, place, Some(20)))
                .or_else(|| bound.line(&goods).excluded_by(step, place, Some(20)))
        };
        for place in (0..6).map(LocationId) {
            let expected = removed(&whole, place).is_some();
            prop_assert_eq!(removed(&cut, place).is_some(), expected, "{} at {:?}", text, place);
            prop_assert_eq!(removed(&kept, place).is_none(), expected, "{} at {:?}", text, place);
        }
    }

    #[test]
    fn no_text_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = Document::read(&text, Format::Toml);
        let _ = Document::read(&text, Format::Json);
    }
}

/// `cargo test --release -p quartermaster-sourcing --test policy -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn measure() {
    let rules: Vec<String> = (0..10)
        .map(|at| format!("{{ name = 'r{at}', exclude = \"location.kind == 'store' && order.channel == 'c{at}' && order.units > {at}\" }}"))
        .collect();
    let (policy, town, order) = (policy(&format!("rules = [{}]", rules.join(","))), town(), order());
    let mixed = self::policy("where = 'location.region in order.regions'");
    let goods = Goods::default();
    let time = |name: &str, work: &mut dyn FnMut() -> usize| {
        let start = std::time::Instant::now();
        let sum: usize = (0..1_000_000).map(|_| work()).sum();
        println!("{name}: {} ns ({sum})", start.elapsed().as_nanos() / 1_000_000);
    };
    time("for_order, 10 rules", &mut || {
        policy.for_order(std::hint::black_box(&order), &town).has_mixed_rules(&policy.steps()[0]).into()
    });
    time("for_order and eligible, 10 rules", &mut || {
        let bound = policy.for_order(std::hint::black_box(&order), &town);
        bound.eligible(&policy.steps()[0]).contains(LocationId(2)).into()
    });
    let bound = mixed.for_order(&order, &town);
    time("candidate_excluded_by", &mut || {
        bound.candidate_excluded_by(&mixed.steps()[0], std::hint::black_box(LocationId(2)), None).is_some().into()
    });
    time("line", &mut || {
        bound.line(std::hint::black_box(&goods)).unit_price(LocationId(2), None).0.count_ones().try_into().unwrap()
    });
}
