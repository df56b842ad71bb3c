//! Words that mean something to the node that inputs are tried on: codes that exist, codes that do not, and what breaks parsers.

use quartermaster_loadtest::random::SplitMix64;

/// SKUs of the world, in the order of their ids, and one that is not there.
pub const SKUS: &[&str] = &["A", "B", "C", "K", "D", "Z"];
/// Its locations.
pub const LOCATIONS: &[&str] = &["L1", "L2", "L3", "L4", "nowhere"];
const CHANNELS: &[&str] = &["app", "web", "till", "none"];
const CAMPAIGNS: &[&str] = &["eleven", "later", "no-such"];
const REGIONS: &[&str] = &["CN", "310000", "310100", "330000", "XX"];
const INBOUNDS: &[&str] = &["PO1", "TR1", "PO9"];
const BUYERS: &[&str] = &["ann", "bob", "cy", ""];
const DOCUMENTS: &[&str] = &["house", "courier", "built-in", "p"];
const DATES: &[&str] = &["2026-11-11", "2024-02-29", "2026-02-29", "0000-00-00", "9999-12-31", "-262144-01-01", "x"];
const ZONES: &[&str] = &["Asia/Shanghai", "Europe/Zurich", "Pacific/Apia", "UTC", "Nowhere/Land", "../etc/passwd"];
const CLASSES: &[&str] = &["frozen", "chilled", "9", "3.1", ""];
const LEVELS: &[&str] = &["standard", "express", "next-morning", ""];
const COLOURS: &[&str] = &["red", "blue", "S", "M", "coats", "style", ""];
/// The last ids, and the last page tokens, that the node gave out: replaced when the message is sent.
const BACK: &[&str] = &["@0", "@0", "@0", "@1", "@1", "@2", "@3", "@4", "@5", "@6", "@7", "@8", "@9"];

/// Texts that no field should take, or that it must take apart carefully.
const ODD: &[&str] = &[
    "",
    " ",
    "\0",
    "a\nb",
    "\u{feff}A",
    "é",
    "日本語",
    "\u{202e}A",
    "A ",
    "a",
    "ÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀÀ",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "01234567890123456789012345678901234567890123456789012345678901234",
    "0000000000000",
    "FZZZZZZZZZZZZ",
    "ZZZZZZZZZZZZZ",
    "ffffffffffffffffffffffff",
    "true",
    "-1",
    "1e999",
    "NaN",
    "{}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
];

fn pick(random: &mut SplitMix64, from: &[&str]) -> String {
    from[random.index(from.len())].to_owned()
}

/// A text for a field of this name.
pub fn text(field: &str, random: &mut SplitMix64) -> String {
    if random.below(24) == 0 {
        return pick(random, ODD);
    }
    let list = match field {
        "sku" | "skus" | "substitutes" | "component" | "kit" => SKUS,
        "campaign" => CAMPAIGNS,
        "channel" | "channels" => CHANNELS,
        "parent" => {
            if random.below(2) == 0 {
                CHANNELS
            } else {
                REGIONS
            }
        }
        "region" => REGIONS,
        "buyer_id" => BUYERS,
        "style" | "category" | "colour" | "size" => COLOURS,
        "name" | "policy" => DOCUMENTS,
        "holidays" | "oldest_receipt_date" => DATES,
        "time_zone" => ZONES,
        "temperature" | "dangerous_goods" => CLASSES,
        "service_level" | "service" => LEVELS,
        "currency_code" => &["CNY", "EUR", "cny", ""],
        "page_token" | "reservation_id" | "reservation_ids" | "return_id" | "replaces_reservation_id" => BACK,
        "request_id" => {
            let many = if random.below(4) == 0 { 8 } else { 1 << 40 };
            return format!("q{}", random.below(many));
        }
        "text" => return document(random),
        "code" => [SKUS, LOCATIONS, CHANNELS, CAMPAIGNS, REGIONS, INBOUNDS][random.index(6)],
        _ if field.contains("location") || field == "shipped_from" => LOCATIONS,
        _ => [SKUS, LOCATIONS, BUYERS, COLOURS, DOCUMENTS, INBOUNDS, BACK][random.index(7)],
    };
    pick(random, list)
}

/// A policy, a tariff or a set of stock rules, mostly with something changed.
pub fn document(random: &mut SplitMix64) -> String {
    let all = [POLICY, TARIFF, RULES, "name = 'p'\ncurrency = 'CNY'\n"];
    let text = all[random.index(all.len())];
    if random.below(3) == 0 {
        return text.to_owned();
    }
    crate::mutate::text(text, random)
}

/// The examples that the repository tells people to begin with.
pub const POLICY: &str = include_str!("../../examples/policy.toml");
/// As above.
pub const TARIFF: &str = include_str!("../../examples/tariff.toml");
/// As above.
pub const RULES: &str = include_str!("../../examples/stock-rules.toml");

/// Pieces of documents and expressions, for mutations of text.
pub const TOKENS: &[&str] = &[
    "sku.code",
    "sku.attributes['season']",
    "sku.value",
    "sku.weight_grams",
    "location.kind",
    "location.regions",
    "location.priority",
    "location.channels",
    "location.code",
    "order.units",
    "order.value",
    "order.regions",
    "order.channel",
    "order.lines",
    "distance_metres",
    "stock.on_hand",
    "stock.sellable",
    "stock.cells",
    ".exists(r, r in order.regions)",
    ".all(x, x == 'a')",
    ".startsWith('3')",
    ".contains('a')",
    ".size()",
    "size(",
    " in ",
    " && ",
    " || ",
    "!",
    "==",
    "!=",
    "<=",
    ">",
    "+",
    "-",
    "*",
    "/",
    "%",
    " ? ",
    " : ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "\n",
    " = ",
    ",",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1.5",
    "1e400",
    "true",
    "null",
    "\"4h\"",
    "\"999999999999d\"",
    "[[rules]]\n",
    "[[preferences]]\n",
    "[[fallbacks]]\n",
    "[[services]]\n",
    "[[services.rates]]\n",
    "[[windows]]\n",
    "[prices]\n",
    "name = 'n'\n",
    "exclude = \"",
    "when = \"",
    "where = \"",
    "keep.units = ",
    "keep.percent = ",
    "keep.formula = \"",
    "allot = { channel = 'app', percent = 80 }\n",
    "leave = { channel = 'till', percent = 10 }\n",
    "scope.kinds = ['store']\n",
    "parcel_price = ",
    "unit_price = ",
    "first_weight_grams = ",
    "step_weight_grams = ",
    "step_price = ",
    "volumetric_divisor = ",
    "weight_max_grams = ",
    "transit_minutes = ",
    "origins = ['310000']\n",
    "2026-11-01T00:00:00+08:00",
    "-262143-01-01T00:00:00Z",
];

/// A whole number: mostly small, now and then at the edge of some type.
pub fn number(random: &mut SplitMix64) -> i64 {
    const EDGES: [i64; 18] = [
        -1,
        0,
        -2,
        255,
        256,
        65_535,
        65_536,
        2_147_483_647,
        2_147_483_648,
        4_294_967_294,
        4_294_967_295,
        4_294_967_296,
        -2_147_483_648,
        i64::MAX,
        i64::MAX - 1,
        i64::MIN,
        i64::MIN + 1,
        1_000_000_000_000,
    ];
    match random.below(12) {
        0 => EDGES[random.index(EDGES.len())],
        1 => i64::from_le_bytes(random.bits().to_le_bytes()),
        2 | 3 => i64::try_from(random.below(2_000)).unwrap_or(0),
        _ => i64::try_from(random.below(6)).unwrap_or(0),
    }
}
