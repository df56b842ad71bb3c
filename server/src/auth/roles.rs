//! The one table of who may call what. A method that does not stand here may be called by the admin alone, and a test says so.
//!
//! The last column says what becomes of a caller that is bound to channels or locations: which of its bounds the method honours, message by
//! message (`grpc::caller`). A bound caller is refused where its bound is not honoured, so that a method which forgets one is closed and not
//! open. Reads of stock, catalogue and documents tell the same to all; reservations are told only to who is in their scope.

use super::principal::{Role, Roles};
use crate::methods::{Method, Methods};
use Reach::{Both, Channel, Location, Open, Whole};
use Role::{Admin, Analyst, Gateway, Operator, Store};

/// What becomes of bound callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It changes nothing and tells the same to all: bounds do not matter.
    Open,
    /// Honours channels; who is bound to locations may not call it.
    Channel,
    /// Honours locations; who is bound to channels may not call it.
    Location,
    /// Honours both.
    Both,
    /// Concerns everything; who is bound may not call it.
    Whole,
}

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everyone, known or not: health checks.
    Free,
    /// Everyone who is known: reflection, and paths that lead nowhere.
    Known,
    /// Who has one of the roles, the admin's among them.
    Roles(Roles, Reach),
}

/// Who may read /metrics where that needs a token.
pub const METRICS: Roles = Roles::of(&[Operator, Analyst, Admin]);

const ALL: &[Role] = &Role::ALL;

/// Service, methods, roles beside the admin's, bounds.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &[Role], Reach)] = &[
    // Selling: a gateway in its channels, with places it names among its locations.
    ("AllocationService", "Reserve ReserveBatch ReserveStream",             &[Gateway],                    Both),
    ("AllocationService", "Confirm Release Extend",                         &[Gateway],                    Both),
    ("AllocationService", "Cancel",                                         &[Gateway, Store, Operator],   Both),
    ("AllocationService", "Ship",                                           &[Store, Operator],            Both),
    ("AllocationService", "Reassign",                                       &[Gateway, Store, Operator],   Both),
    ("AllocationService", "GetReservation ListReservations",                ALL,                           Both),
    // A request id is chosen by who asks; who knows it has the answer.
    ("AllocationService", "GetOutcome",                                     ALL,                           Open),
    ("RoutingService",    "Route RouteBatch",                               &[Gateway, Operator, Analyst], Channel),
    ("RoutingService",    "Split",                                          &[Gateway, Operator, Analyst], Both),
    ("RoutingService",    "ExplainReservation",                             &[Gateway, Operator, Analyst], Both),
    ("RoutingService",    "Merge",                                          &[Gateway, Operator],          Whole),

    // Stock: an operator anywhere, a store at its locations.
    ("InventoryService",  "SetStock SetCellFacts ImportStock",              &[Operator],                   Location),
    ("InventoryService",  "AdjustStock ReceiveStock MoveStock CountStock",  &[Store, Operator],            Location),
    ("InventoryService",  "GetAvailability GetStyleGrid",                   ALL,                           Open),
    ("InventoryService",  "ListCells ListShortfalls",                       &[Store, Operator, Analyst],   Open),
    ("SupplyService",     "AnnounceInbound ChangeInbound CancelInbound",    &[Operator],                   Location),
    ("SupplyService",     "ReceiveInbound ShipTransfer",                    &[Store, Operator],            Location),
    ("SupplyService",     "GetInbound ListInbounds ListPresaleShortfalls",  &[Store, Operator, Analyst],   Open),
    ("SupplyService",     "GetAtp",                                         ALL,                           Open),
    ("UpkeepService",     "FreezeStock ThawStock",                          &[Store, Operator],            Location),
    ("UpkeepService",     "RepairShortfalls",                               &[Operator],                   Location),
    ("UpkeepService",     "ListFreezes",                                    ALL,                           Open),

    // What comes back: announced where it was sold, received and inspected where it arrives.
    ("ReturnService",     "AnnounceReturn CancelReturn",                    &[Gateway, Store, Operator],   Both),
    ("ReturnService",     "ExchangeReturn",                                 &[Gateway, Operator],          Both),
    ("ReturnService",     "ReceiveReturn ReceiveUnmatchedReturn InspectReturn", &[Store, Operator],        Location),
    ("ReturnService",     "GetReturn ListReturns ListReturnRates",          &[Store, Operator, Analyst],   Open),

    // The business: an operator, who may be bound to channels where a channel is concerned.
    ("CatalogService",    "UpsertSkus RetireSkus UpsertLocations UpsertChannels UpsertRegions", &[Operator], Whole),
    ("CatalogService",    "ListSkus ListLocations ListChannels ListRegions", ALL,                          Open),
    ("AllotmentService",  "SetAllotments RaiseAllotments LowerAllotments MoveAllotments ReturnAllotments", &[Operator], Channel),
    ("AllotmentService",  "ListAllotments",                                 &[Gateway, Operator, Analyst], Open),
    ("CampaignService",   "UpsertCampaigns",                                &[Operator],                   Channel),
    ("CampaignService",   "EndCampaign",                                    &[Operator],                   Whole),
    ("CampaignService",   "GetCampaign ListCampaigns",                      ALL,                           Open),
    ("PolicyService",     "DraftDocument ActivateDocument RetireDocument",  &[Operator],                   Whole),
    ("PolicyService",     "LintDocument GetDocument ListDocuments",         &[Operator, Analyst],          Open),
    ("RulesService",      "PutStockRules",                                  &[Operator],                   Whole),
    ("RulesService",      "GetStockRules ListRuleEffects",                  &[Operator, Analyst],          Open),

    // The server itself. Limits are told to all who meet them.
    ("AdminService",      "GetLimits",                                      ALL,                           Open),
    ("AdminService",      "GetStatus",                                      &[Operator, Analyst],          Open),
    ("AdminService",      "ListSlowCalls",                                  &[Operator],                   Whole),
    ("AdminService",      "TakeSnapshot RunAudit",                          &[],                           Whole),
    // A backup names a directory of the server, and settings are for who may start it; looking, and leaving the rotation, are the operator's.
    ("OperationsService", "GetBackup GetLogLevel Drain",                    &[Operator],                   Whole),
    ("OperationsService", "StartBackup CancelBackup ReloadConfig SetLogLevel", &[],                        Whole),
];

impl Reach {
    /// Whether who is bound to channels may call it.
    pub fn honours_channels(self) -> bool {
        matches!(self, Open | Channel | Both)
    }

    /// Whether who is bound to locations may call it.
    pub fn honours_locations(self) -> bool {
        matches!(self, Open | Location | Both)
    }
}

/// The rule of each method, in the order of [`Methods::all`].
pub fn rules(methods: &Methods, reflection_needs_token: bool) -> Vec<Rule> {
    let of_others = |service: &str| match service {
        "grpc.health.v1.Health" => Rule::Free,
        _ if reflection_needs_token => Rule::Known,
        _ => Rule::Free,
    };
    let rule = |method: &Method| match method.is_own() {
        true => find(method).unwrap_or(Rule::Roles(Roles::of(&[Admin]), Whole)),
        false => of_others(&method.service),
    };
    methods.all().iter().map(rule).collect()
}

fn find(method: &Method) -> Option<Rule> {
    let service = method.service.rsplit('.').next().unwrap_or_default();
    let named = |row: &&(&str, &str, &[Role], Reach)| {
        row.0 == service && row.1.split_whitespace().any(|name| name == method.name)
    };
    let (_, _, roles, reach) = TABLE.iter().find(named)?;
    Some(Rule::Roles(roles.iter().collect::<Roles>().and(Admin), *reach))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_stands_in_the_table_once_and_the_table_names_no_other() {
        let methods = Methods::new();
        let missing: Vec<&str> = methods
            .all()
            .iter()
            .filter(|method| method.is_own() && find(method).is_none())
            .map(|method| method.path.as_str())
            .collect();
        assert!(missing.is_empty(), "these need a line in the table of auth/roles.rs: {missing:?}");
        let named: Vec<String> = TABLE
            .iter()
            .flat_map(|(service, names, ..)| names.split_whitespace().map(move |name| format!("{service}/{name}")))
            .collect();
        for name in &named {
            assert!(methods.find(&format!("/quartermaster.v1.{name}")).is_some(), "there is no {name}");
            assert_eq!(named.iter().filter(|other| *other == name).count(), 1, "{name} stands there twice");
        }
    }

    #[test]
    fn the_worst_is_the_admins_alone_and_health_is_everyones() {
        let methods = Methods::new();
        let rules = rules(&methods, true);
        let of = |path: &str| rules[methods.find(path).unwrap().index()];
        assert_eq!(of("/quartermaster.v1.AdminService/TakeSnapshot"), Rule::Roles(Roles::of(&[Admin]), Whole));
        assert_eq!(of("/grpc.health.v1.Health/Check"), Rule::Free);
        assert_eq!(of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), Rule::Known);
        assert_eq!(of("/quartermaster.v1.AllocationService/Reserve"), Rule::Roles(Roles::of(&[Gateway, Admin]), Both));
    }

    #[test]
    fn an_analyst_changes_nothing_and_a_gateway_does_not_touch_stock() {
        let methods = Methods::new();
        for (method, rule) in methods.all().iter().zip(rules(&methods, true)) {
            let Rule::Roles(roles, _) = rule else { continue };
            let changes = method.descriptor.input().fields().any(|field| field.name() == "request_id")
                && method.name != "GetOutcome";
            if changes {
                assert!(!roles.meets(Roles::of(&[Analyst])), "{}", method.path);
            }
            if changes && method.service.ends_with("InventoryService") {
                assert!(!roles.meets(Roles::of(&[Gateway])), "{}", method.path);
            }
        }
    }
}
