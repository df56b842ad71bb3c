//! The tests that ask the CEL interpreter: what it answers is what we answer, for whatever is accepted.

use cel::{Context, Program, Value};
use proptest::prelude::*;

use super::evaluate::{Facts, Unknown};
use super::read;
use crate::fulfilment::{Capabilities, Mode};
use crate::order::Goods;
use crate::policy::facts::{Codes, OrderFacts, PlaceFacts};
use quartermaster_routing::Grams;

fn attributes() -> Vec<(String, String)> {
    vec![("brand".into(), "B".into()), ("season".into(), "天".into())]
}

fn goods(attributes: &[(String, String)]) -> Goods<'_> {
    Goods { code: "A", style: "S", size: "42", weight: Grams(300), value: 990, attributes, ..Goods::default() }
}

fn ours(text: &str) -> Option<Result<bool, Unknown>> {
    let (attributes, channels) = (attributes(), ["app".to_owned()]);
    let goods = goods(&attributes);
    let order = OrderFacts {
        channel: "app",
        mode: Mode::Pickup,
        regions: &["SH", "CN"],
        units: 3,
        lines: 2,
        value: -5,
        ..OrderFacts::default()
    };
    let place = PlaceFacts {
        code: "L1",
        kind: "store",
        priority: 7,
        capabilities: Capabilities(Capabilities::PICKUP | Capabilities::DANGEROUS_GOODS),
        channels: &channels,
        regions: Codes::from_slice(&["SH", "CN"]),
        open: true,
    };
    let condition = read(text).ok()?;
    Some(condition.holds(&Facts::new(Some(&order), Some(&place), Some(&goods), Some(1500))))
}

fn theirs(text: &str) -> Result<bool, Unknown> {
    let mut context = Context::default();
    let facts: [(&str, &str); 3] = [
        (
            "order",
            r#"{"channel":"app","order_type":"","buyer_tier":"","service_level":"","mode":"pickup","region":"SH",
            "regions":["SH","CN"],"units":3,"lines":2,"weight_grams":0,"value":-5}"#,
        ),
        (
            "location",
            r#"{"code":"L1","kind":"store","priority":7,"region":"SH","regions":["SH","CN"],
            "capabilities":["pickup","dangerous_goods"],"channels":["app"]}"#,
        ),
        (
            "sku",
            r#"{"code":"A","style":"S","colour":"","size":"42","category":"","weight_grams":300,"value":990,
            "dangerous_goods":"","temperature":"","attributes":{"brand":"B","season":"天"}}"#,
        ),
    ];
    for (name, json) in facts {
        context.add_variable_from_value(name, value(&serde_json::from_str(json).unwrap()));
    }
    context.add_variable_from_value("distance_metres", Value::Int(1500));
    match Program::compile(text).unwrap().execute(&context) {
        Ok(Value::Bool(answer)) => Ok(answer),
        Ok(other) => panic!("{text} is {other:?}"),
        Err(_) => Err(Unknown),
    }
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Number(number) => Value::Int(number.as_i64().unwrap()),
        serde_json::Value::String(text) => text.clone().into(),
        serde_json::Value::Array(list) => list.iter().map(value).collect::<Vec<_>>().into(),
        #[expect(clippy::disallowed_types, reason = "the interpreter takes no other map")]
        serde_json::Value::Object(fields) => fields
            .iter()
            .map(|(name, inner)| (name.clone(), value(inner)))
            .collect::<std::collections::HashMap<_, _>>()
            .into(),
        serde_json::Value::Null | serde_json::Value::Bool(_) => panic!("no fact is one"),
    }
}

#[test]
fn each_construct_answers_as_cel_does() {
    let cases = [
        "order.channel == 'app' && location.kind in ['store', 'supplier']",
        "location.region in order.regions",
        "order.region == location.regions[0] && order.regions[1] == 'CN'",
        "order.regions[2] == 'CN'",
        "order.regions[-1] == 'CN'",
        "order.regions[2] == 'CN' || true",
        "sku.attributes.brand == 'B'",
        "sku.attributes['season'] == '天' && size(sku.attributes['season']) == 1",
        "sku.attributes.missing == 'B'",
        "sku.attributes.missing == 'B' && false",
        "sku.attributes.missing == 'B' || true",
        "!(sku.attributes.missing == 'B')",
        "has(sku.attributes.brand) && !has(sku.attributes.missing)",
        "'brand' in sku.attributes && !('x' in sku.attributes)",
        "sku.attributes.size() == 2 && size(location.capabilities) == 2 && sku.code.size() == 1",
        "order.units * 2 + 1 == 7 && order.value / 2 == -2 && order.value % 3 == -2 && -order.value == 5",
        "order.units / 0 == 1",
        "order.units % 0 == 1",
        "9223372036854775807 + order.units > 0",
        "-9223372036854775808 - order.units > 0",
        "location.capabilities.exists(c, c == 'pickup')",
        "location.capabilities.all(c, c.startsWith('pick') || c.endsWith('goods'))",
        "location.capabilities.exists_one(c, c.contains('i'))",
        "order.regions.exists(a, location.regions.exists(b, a == b && a == 'CN'))",
        "order.regions.exists(order, order == 'SH')",
        "order.regions.exists(r, sku.attributes[r] == 'x')",
        "order.regions.exists(r, sku.attributes[r] == 'x' || r == 'CN')",
        "order.regions.all(r, sku.attributes[r] == 'x' && r == 'SH')",
        "order.regions.exists_one(r, sku.attributes[r] == 'x')",
        "['a', sku.attributes.missing].exists(r, r == 'a')",
        "'a' in ['a', sku.attributes.missing]",
        "(order.units > 2 ? 'a' : 'b') == 'a' && (order.lines == 2 ? 1 : 1 / 0) == 1",
        "order.units in [1, 2, 3] && !(order.units in [4])",
        "'a' in []",
        "(order.units > 2) == (order.lines > 1) && (true != false)",
        "'a' < 'b' && '天' > 'z' && sku.size >= '42' && !('b' <= 'a')",
        "!!(order.units >= 3) && distance_metres < 2000",
    ];
    for text in cases {
        assert_eq!(ours(text), Some(theirs(text)), "{text}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "order.channel",
        "location.kind",
        "sku.code",
        "sku.attributes.brand",
        "sku.attributes['none']",
        "order.regions[1]",
        "location.regions[5]",
        "'app'",
        "'store'",
        "''",
        "'SH'",
        "order.region",
    ]);
    leaf.prop_map(str::to_owned)
}

fn lists() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["order.regions", "location.capabilities", "location.channels", "[]"])
            .prop_map(str::to_owned),
        prop::collection::vec(texts(), 1..3).prop_map(|list| format!("[{}]", list.join(", "))),
    ]
}

fn numbers() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "order.units",
            "order.value",
            "location.priority",
            "distance_metres",
            "0",
            "-1",
            "7",
            "9223372036854775807"
        ])
        .prop_map(str::to_owned),
        texts().prop_map(|text| format!("size({text})")),
        lists().prop_map(|list| format!("{list}.size()")),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner)
            .prop_map(|(left, operator, right)| format!("({left} {operator} {right})"))
    })
}

fn conditions() -> impl Strategy<Value = String> {
    let compare = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (texts(), compare(), texts()).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        (numbers(), compare(), numbers()).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        (texts(), lists()).prop_map(|(text, list)| format!("{text} in {list}")),
        (texts(), prop::sample::select(vec!["startsWith", "endsWith", "contains"]), texts())
            .prop_map(|(whole, part, piece)| format!("{whole}.{part}({piece})")),
        (lists(), prop::sample::select(vec!["all", "exists", "exists_one"]), compare(), texts())
            .prop_map(|(list, each, operator, text)| format!("{list}.{each}(x, x {operator} {text})")),
        Just("has(sku.attributes.brand)".to_owned()),
        Just("false".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["&&", "||", "=="]), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            inner.clone().prop_map(|inner| format!("!({inner})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
        ]
    })
}

/// Words and signs of the language in any order: what a careless author or a hostile one may send.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "order",
        "location",
        "sku",
        "distance_metres",
        ".",
        "channel",
        "regions",
        "attributes",
        "kind",
        "==",
        "!=",
        "<",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "(",
        ")",
        "[",
        "]",
        ",",
        "?",
        ":",
        "in",
        "has",
        "size",
        "exists",
        "all",
        "map",
        "true",
        "null",
        "1",
        "2.5",
        "3u",
        "0x",
        "9999999999999999999",
        "'a'",
        "\"天\"",
        " ",
        "\n",
        "as",
        "for",
        "_",
        "=",
        "&",
        "|",
        "x",
        "@",
        "#",
        "`",
        "{",
        "}",
        "1e999",
        ".5",
        "..",
        "has(",
        "exists_one(x,",
        "b'a'",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_accepted_answers_as_cel_does(text in conditions()) {
        if let Some(answer) = ours(&text) {
            prop_assert_eq!(answer, theirs(&text), "{}", text);
        }
    }

    #[test]
    fn no_words_panic(text in soup()) {
        let _ = ours(&text);
    }

    /// Nearly right is where a parser that mends errors is tried hardest.
    #[test]
    fn no_damage_panics(text in conditions(), cut in any::<prop::sample::Index>(), length in 0_usize..4, put in soup()) {
        let letters: Vec<char> = text.chars().collect();
        let start = cut.index(letters.len());
        let put: String = put.chars().take(5).collect();
        let (before, after) = (&letters[..start], &letters[(start + length).min(letters.len())..]);
        let _ = ours(&before.iter().copied().chain(put.chars()).chain(after.iter().copied()).collect::<String>());
    }

    #[test]
    fn no_letters_panic(text in any::<String>()) {
        let _ = ours(&text);
    }
}

#[test]
fn the_deepest_text_allowed_needs_little_stack() {
    let deep = [
        format!("{}true{}", "(".repeat(6), ")".repeat(6)),
        format!("{}true", "!".repeat(72)),
        format!("1{} == 1", "+1".repeat(70)),
        format!("order{}", ".a".repeat(72)),
        format!("order{}", "[0]".repeat(60)),
        format!("{}true", "true ? true && true : ".repeat(8)),
        format!("{}1{} == 1", "(1+".repeat(5), ")".repeat(5)),
        format!("{}'a' in [['a']]", "[1, ".repeat(3)),
        vec!["order.channel == 'a'"; 150].join(" && "),
        vec!["order.channel == 'a'"; 150].join(" || "),
    ];
    // Less than a thread has by default, without optimisation.
    let thread = std::thread::Builder::new().stack_size(1536 * 1024);
    let outcome = thread
        .spawn(move || deep.iter().filter(|text| !matches!(read(text), Err(super::ExpressionError::TooDeep))).count());
    assert_eq!(outcome.unwrap().join().unwrap(), 10);
}
