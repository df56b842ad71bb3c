//! Requests about allotments to commands, and what came of them.

use quartermaster_engine::{
    Answer,
    catalog::{Catalogue, Directory},
    command::{
        Command, Request,
        allotment::{
            AllotmentCommand, Amount, Goods, MoveAllotments, MoveRow, NodeCode, ReturnAllotments, SetAllotments,
            SetRow, ShiftAllotments, ShiftRow,
        },
    },
    event::{Event, allotment::AllotmentEvent},
    id::{NodeId, SkuId},
    query::allotment::NodeAllotment,
};
use quartermaster_proto::v1;

use super::{
    answers::{Told, units},
    checks::Checks,
    page::Pages,
};
use crate::{
    grpc::{limits, status::ApiError},
    node::Node,
};

type Change = Result<(Request, Command), ApiError>;

/// A SetAllotments.
pub(crate) fn set(message: v1::SetAllotmentsRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut rows = Vec::new();
    if checks.length("settings", message.settings.len(), 1, &limits::ALLOTMENT_ROWS_MAX) {
        rows.extend(message.settings.into_iter().enumerate().map(|(place, row)| setting(&mut checks, place, row)));
    }
    checks.finish((request, Command::Allotment(AllotmentCommand::Set(SetAllotments { rows, clip: message.clip }))))
}

fn setting(checks: &mut Checks, place: usize, row: v1::AllotmentSetting) -> SetRow {
    use v1::allotment_setting::Quota;
    let at = format!("settings[{place}]");
    let quota = row.quota.map(|quota| match quota {
        Quota::Quantity(units) => Amount::Units(checks.count(format_args!("{at}.quantity"), units)),
        Quota::MilliPercent(part) => {
            let field = format_args!("{at}.milli_percent").to_string();
            Amount::MilliPercent(checks.range(field, part.into(), 0, &limits::MILLI_PERCENT_MAX))
        }
    });
    let ceiling = row.ceiling.map(|ceiling| checks.count(format_args!("{at}.ceiling"), ceiling));
    if quota.is_none() && ceiling.is_none() {
        checks.refuse(format_args!("{at}.quota"), "is missing, and so is the ceiling; to end an allotment, return it");
    }
    if let (Some(Amount::Units(quota)), Some(ceiling)) = (quota, ceiling)
        && ceiling < quota
    {
        let problem = format_args!("is {}, below the quota of {}", ceiling.units(), quota.units()).to_string();
        checks.refuse(format_args!("{at}.ceiling"), problem);
    }
    SetRow {
        goods: goods(checks, &format!("{at}.goods"), row.goods),
        node: node(checks, &format!("{at}.node"), row.node),
        quota,
        ceiling,
        spill_over: row.spill_over,
    }
}

/// A RaiseAllotments or a LowerAllotments.
fn shift(request_id: String, steps: Vec<v1::AllotmentStep>, raise: bool, clip: bool) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(request_id);
    let mut rows = Vec::new();
    if checks.length("steps", steps.len(), 1, &limits::ALLOTMENT_ROWS_MAX) {
        rows.extend(steps.into_iter().enumerate().map(|(place, row)| ShiftRow {
            goods: goods(&mut checks, &format!("steps[{place}].goods"), row.goods),
            node: node(&mut checks, &format!("steps[{place}].node"), row.node),
            units: checks.quantity(format_args!("steps[{place}].quantity"), row.quantity),
        }));
    }
    checks.finish((request, Command::Allotment(AllotmentCommand::Shift(ShiftAllotments { raise, rows, clip }))))
}

/// A RaiseAllotments.
pub(crate) fn raise(message: v1::RaiseAllotmentsRequest) -> Change {
    shift(message.request_id, message.steps, true, message.clip)
}

/// A LowerAllotments.
pub(crate) fn lower(message: v1::LowerAllotmentsRequest) -> Change {
    shift(message.request_id, message.steps, false, message.clip)
}

/// A MoveAllotments.
pub(crate) fn step(message: v1::MoveAllotmentsRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut rows = Vec::new();
    if checks.length("moves", message.moves.len(), 1, &limits::ALLOTMENT_ROWS_MAX) {
        rows.extend(message.moves.into_iter().enumerate().map(|(place, row)| MoveRow {
            goods: goods(&mut checks, &format!("moves[{place}].goods"), row.goods),
            from: node(&mut checks, &format!("moves[{place}].from"), row.from),
            to: node(&mut checks, &format!("moves[{place}].to"), row.to),
            units: checks.quantity(format_args!("moves[{place}].quantity"), row.quantity),
        }));
    }
    checks.finish((request, Command::Allotment(AllotmentCommand::Move(MoveAllotments { rows, clip: message.clip }))))
}

/// A ReturnAllotments.
pub(crate) fn give_back(message: v1::ReturnAllotmentsRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let own = node(&mut checks, "node", message.node);
    let mut all = Vec::new();
    if checks.length("goods", message.goods.len(), 0, &limits::ALLOTMENT_ROWS_MAX) {
        let each = message.goods.into_iter().enumerate();
        all.extend(each.map(|(place, one)| goods(&mut checks, &format!("goods[{place}]"), Some(one))));
    }
    let back = ReturnAllotments { node: own, goods: all };
    checks.finish((request, Command::Allotment(AllotmentCommand::Return(back))))
}

fn node(checks: &mut Checks, field: &str, node: Option<v1::SellingNode>) -> NodeCode {
    use v1::selling_node::Node as Which;
    match node.and_then(|node| node.node) {
        Some(Which::Channel(code)) => {
            NodeCode { channel: checks.code(format_args!("{field}.channel"), code), campaign: String::new() }
        }
        Some(Which::Campaign(code)) => {
            NodeCode { channel: String::new(), campaign: checks.code(format_args!("{field}.campaign"), code) }
        }
        None => {
            checks.refuse(field, "is missing; a channel or a campaign is needed");
            NodeCode::default()
        }
    }
}

fn goods(checks: &mut Checks, field: &str, goods: Option<v1::AllottedGoods>) -> Goods {
    use v1::allotted_goods::Goods as Which;
    match goods.and_then(|goods| goods.goods) {
        Some(Which::Sku(code)) => Goods::Sku(checks.code(format_args!("{field}.sku"), code)),
        Some(Which::Style(code)) => Goods::Style(checks.code(format_args!("{field}.style"), code)),
        Some(Which::Category(code)) => Goods::Category(checks.code(format_args!("{field}.category"), code)),
        None => {
            checks.refuse(field, "is missing; a SKU, a style or a category is needed");
            Goods::Sku(String::new())
        }
    }
}

/// A page of allotments that is asked for.
#[derive(Debug)]
pub(crate) struct AllotmentPage {
    pub(crate) node: Option<NodeCode>,
    /// SKU code, or empty.
    pub(crate) sku: String,
    pub(crate) after: Option<(SkuId, NodeId)>,
    pub(crate) size: usize,
    pages: Pages,
}

impl AllotmentPage {
    /// The token of the page after an allotment.
    pub(crate) fn token(&self, sku: SkuId, node: NodeId) -> String {
        self.pages.token(u64::from(sku.0) << 32 | u64::from(node.0))
    }
}

/// A ListAllotments.
pub(crate) fn list(message: v1::ListAllotmentsRequest) -> Result<AllotmentPage, ApiError> {
    let mut checks = Checks::default();
    let node = message.node.map(|one| node(&mut checks, "node", Some(one)));
    let sku = checks.optional_code("sku", message.sku);
    let size = checks.page_size(message.page_size, 100, &limits::ALLOTMENTS_PAGE_MAX);
    let (channel, campaign) = node.as_ref().map_or(("", ""), |node| (&node.channel, &node.campaign));
    let pages = Pages::of("allotments", &[channel.as_bytes(), campaign.as_bytes(), sku.as_bytes()]);
    let after = pages.after(&mut checks, &message.page_token).map(|position| {
        let half = |bits: u64| u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        (SkuId(half(position >> 32)), NodeId(half(position)))
    });
    checks.finish(AllotmentPage { node, sku, after, size, pages })
}

/// What came of a change.
pub(crate) fn told(node: &Node, answer: Answer) -> Result<Told<v1::AllotmentOutcomes>, ApiError> {
    Told::of(node, answer, |catalogue, event| match event {
        Event::Allotment(event) => Some(outcomes(catalogue, event)),
        _ => None,
    })
}

fn outcomes(catalogue: &Catalogue, event: &AllotmentEvent) -> v1::AllotmentOutcomes {
    let AllotmentEvent::Set(set) = event;
    let outcome = |row: &quartermaster_engine::event::allotment::AllotmentRow| v1::AllotmentOutcome {
        sku: catalogue.sku_code(row.sku).to_owned(),
        node: Some(selling_node(catalogue.directory(), row.node)),
        quota: row.quota.map(i64::from),
        ceiling: row.ceiling.map(i64::from),
        spill_over: row.spill_over,
        clipped: i64::from(row.clipped),
    };
    v1::AllotmentOutcomes { allotments: set.rows.iter().map(outcome).collect() }
}

/// How many allotments an event changed.
pub(crate) fn entry_count(event: &AllotmentEvent) -> i64 {
    let AllotmentEvent::Set(set) = event;
    i64::try_from(set.rows.len()).unwrap_or(i64::MAX)
}

/// A node by its code.
pub(crate) fn selling_node(directory: &Directory, node: NodeId) -> v1::SellingNode {
    use v1::selling_node::Node as Which;
    let code = directory.node_code(node).to_owned();
    let which = if node.channel().is_some() { Which::Channel(code) } else { Which::Campaign(code) };
    v1::SellingNode { node: Some(which) }
}

/// What a node has of a SKU.
pub(crate) fn entry(catalogue: &Catalogue, found: &NodeAllotment) -> v1::Allotment {
    let own = &found.allotment;
    v1::Allotment {
        sku: catalogue.sku_code(found.sku).to_owned(),
        node: Some(selling_node(catalogue.directory(), found.node)),
        quota: own.quota.map(i64::from),
        ceiling: own.ceiling.map(i64::from),
        spill_over: own.spill_over,
        reserved: own.reserved.into(),
        committed: own.committed.into(),
        shipped: units(own.shipped),
        granted: units(own.granted),
        used: units(own.used()),
        rest: units(own.rest()),
        reach: units(found.reach),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> Vec<String> {
        let violations = result.unwrap_err().violations();
        violations.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect()
    }

    fn sku(code: &str) -> Option<v1::AllottedGoods> {
        Some(v1::AllottedGoods { goods: Some(v1::allotted_goods::Goods::Sku(code.into())) })
    }

    fn channel(code: &str) -> Option<v1::SellingNode> {
        Some(v1::SellingNode { node: Some(v1::selling_node::Node::Channel(code.into())) })
    }

    #[test]
    fn every_wrong_field_of_a_setting_is_named() {
        use v1::allotment_setting::Quota;
        let setting = |quota, ceiling| v1::AllotmentSetting {
            goods: sku("A"),
            node: channel("app"),
            quota,
            ceiling,
            spill_over: false,
        };
        let message = |settings| v1::SetAllotmentsRequest { request_id: "s".into(), settings, clip: false };
        assert!(set(message(vec![setting(Some(Quota::MilliPercent(100_000)), Some(5))])).is_ok());
        let wrong = set(message(vec![
            setting(Some(Quota::MilliPercent(100_001)), None),
            setting(Some(Quota::Quantity(-1)), None),
            setting(Some(Quota::Quantity(5)), Some(4)),
            setting(None, None),
            v1::AllotmentSetting { goods: None, node: channel(""), ..setting(None, Some(-4)) },
            v1::AllotmentSetting { goods: sku(""), node: None, ..setting(None, Some(4)) },
        ]));
        let expected = [
            "settings[0].milli_percent: is 100001; 0 to 100,000 are allowed",
            "settings[1].quantity: is -1; 0 to 4,294,967,295 are allowed",
            "settings[2].ceiling: is 4, below the quota of 5",
            "settings[3].quota: is missing, and so is the ceiling; to end an allotment, return it",
            "settings[4].ceiling: is -4; 0 to 4,294,967,295 are allowed",
            "settings[4].goods: is missing; a SKU, a style or a category is needed",
            "settings[4].node.channel: is missing; a code of 1 to 64 bytes is needed",
            "settings[5].goods.sku: is missing; a code of 1 to 64 bytes is needed",
            "settings[5].node: is missing; a channel or a campaign is needed",
        ];
        assert_eq!(refused(wrong), expected);
        assert_eq!(refused(set(message(Vec::new()))), ["settings: has 0 entries; 1 to 500 rows are allowed"]);
    }

    #[test]
    fn every_wrong_field_of_the_other_changes_is_named() {
        let step_of = |quantity| v1::AllotmentStep { goods: sku("A"), node: channel("app"), quantity };
        let raise_of = |steps| v1::RaiseAllotmentsRequest { request_id: "r".into(), steps, clip: false };
        assert_eq!(
            refused(raise(raise_of(vec![step_of(1), step_of(0)]))),
            ["steps[1].quantity: is 0; 1 to 4,294,967,295 are allowed"]
        );
        let lower_of = v1::LowerAllotmentsRequest { request_id: String::new(), steps: Vec::new(), clip: false };
        assert_eq!(
            refused(lower(lower_of)),
            ["request_id: is missing; 1 to 64 bytes are needed", "steps: has 0 entries; 1 to 500 rows are allowed"]
        );
        let moves = vec![v1::AllotmentMove { goods: sku("A"), from: None, to: channel("app"), quantity: 0 }];
        let message = v1::MoveAllotmentsRequest { request_id: "m".into(), moves, clip: false };
        assert_eq!(
            refused(step(message)),
            [
                "moves[0].from: is missing; a channel or a campaign is needed",
                "moves[0].quantity: is 0; 1 to 4,294,967,295 are allowed"
            ]
        );
        let goods = vec![v1::AllottedGoods { goods: None }];
        let message = v1::ReturnAllotmentsRequest { request_id: "b".into(), node: None, goods };
        assert_eq!(
            refused(give_back(message)),
            [
                "node: is missing; a channel or a campaign is needed",
                "goods[0]: is missing; a SKU, a style or a category is needed"
            ]
        );
        let page = v1::ListAllotmentsRequest { page_size: 1_001, page_token: "x".into(), ..Default::default() };
        assert_eq!(refused(list(page)).len(), 2);
    }

    #[test]
    fn pages_begin_where_the_token_says() {
        let message = v1::ListAllotmentsRequest { node: channel("app"), page_size: 5, ..Default::default() };
        let page = list(message.clone()).unwrap();
        let page_token = page.token(SkuId(u32::MAX), NodeId(3));
        let next = list(v1::ListAllotmentsRequest { page_token: page_token.clone(), ..message }).unwrap();
        assert_eq!((next.size, next.after), (5, Some((SkuId(u32::MAX), NodeId(3)))));
        let other = v1::ListAllotmentsRequest { page_token, ..Default::default() };
        assert_eq!(refused(list(other)).len(), 1);
    }
}
