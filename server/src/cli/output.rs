//! What commands print: tables for people, messages as JSON for programs. One of each for all.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use quartermaster_client::Unary;
use serde_json::Value;

use crate::methods::Methods;

/// The methods and messages that are known here.
pub(super) static METHODS: LazyLock<Methods> = LazyLock::new(Methods::new);

/// Rows under their heads, each column as wide as its widest entry. A column of numbers stands to the right.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let mut columns = [(0, true); N];
    for (at, column) in columns.iter_mut().enumerate() {
        let widest = rows.iter().map(|row| width(&row[at])).max().unwrap_or(0);
        let numbers = !rows.is_empty() && rows.iter().all(|row| is_number(&row[at]));
        *column = (widest.max(width(head[at])), numbers);
    }
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(&columns).map(|(text, (wide, numbers))| {
            let space = " ".repeat(wide - width(text));
            if *numbers { format!("{space}{text}") } else { format!("{text}{space}") }
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let body = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(head)).chain(body).collect()
}

/// Cells of a terminal that a text takes: Chinese, Japanese and Korean characters take two.
fn width(text: &str) -> usize {
    let wide = |at: char| {
        matches!(at, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1f64f}'
            | '\u{20000}'..='\u{3fffd}')
    };
    text.chars().map(|at| if wide(at) { 2 } else { 1 }).sum()
}

fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    text == "-" || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || b",.".contains(&byte)))
}

/// The answer of a method as the JSON view gives it, indented.
pub(super) fn answer_json<Q: Unary>(answer: &Q::Answer) -> String {
    let method = METHODS.find(Q::PATH).map(|id| METHODS.get(id).descriptor.output());
    format!("{:#}\n", method.map(|descriptor| value(descriptor, answer)).unwrap_or_default())
}

/// A message of the API, named without its package, as JSON.
pub(super) fn message_json(name: &str, message: &impl Message) -> Value {
    let descriptor = METHODS.pool().get_message_by_name(&format!("quartermaster.v1.{name}"));
    descriptor.map(|descriptor| value(descriptor, message)).unwrap_or_default()
}

/// By the proto3 JSON mapping. What was encoded just now decodes, and every message of the API can be shown: tests call all that are used.
fn value(descriptor: MessageDescriptor, message: &impl Message) -> Value {
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice());
    message.ok().and_then(|message| serde_json::to_value(message).ok()).unwrap_or_default()
}

/// The name of a value of an enumeration as people write it: without its prefix, in small letters.
pub(super) fn label(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

/// A time, or a dash.
pub(super) fn time(at: Option<prost_types::Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use quartermaster_proto::v1::{Cell, ConfirmRequest, ConfirmResponse};

    use super::*;

    #[test]
    fn numbers_stand_right_and_wide_characters_count_twice() {
        let rows = [["上海".to_owned(), "1,200".to_owned()], ["HZ".to_owned(), "7".to_owned()]];
        let expected = "place  units\n上海   1,200\nHZ         7\n";
        assert_eq!(table(["place", "units"], rows), expected);
        assert_eq!(table(["place", "units"], []), "place  units\n");
    }

    #[test]
    fn messages_are_shown_as_the_json_view_shows_them() {
        let cell = Cell { sku: "A".into(), on_hand: 3, ..Cell::default() };
        assert_eq!(message_json("Cell", &cell), serde_json::json!({ "sku": "A", "onHand": "3" }));
        let json = answer_json::<ConfirmRequest>(&ConfirmResponse { replayed: true, ..ConfirmResponse::default() });
        assert_eq!(json, "{\n  \"replayed\": true\n}\n");
    }
}
