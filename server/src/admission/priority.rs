//! What is refused first. A sale that was promised must be finished before another is promised, and both before anybody looks around.

/// How long a kind of call can do without an answer, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Finishes, frees or explains what was begun: Confirm, Ship, Release, Cancel, Extend, Reassign, GetOutcome. Refused, it leaves stock
    /// locked and buyers without an answer. Administration too: it is needed most when things go wrong, and is little.
    Settle,
    /// Promises anew, or tells the truth about stock so that nothing is promised that is not there: Reserve in its three forms, changes of
    /// single cells, freezes, ends of campaigns.
    Take,
    /// Asks what an order would cost: Route, Split, Merge. The most work for a call, and nothing is lost without its answer.
    Quote,
    /// Everything else: reads, lists, imports, the catalogue. Whoever asks can ask again.
    Read,
}

impl Priority {
    /// All of them, in their order.
    pub const ALL: [Priority; 4] = [Priority::Settle, Priority::Take, Priority::Quote, Priority::Read];

    /// The priority of a method of ours.
    pub fn of_method(service: &str, method: &str) -> Priority {
        let service = service.strip_prefix("quartermaster.v1.").unwrap_or(service);
        match (service, method) {
            ("AdminService" | "OperationsService", _)
            | ("AllocationService", "Confirm" | "Ship" | "Release" | "Cancel" | "Extend" | "Reassign" | "GetOutcome") => {
                Priority::Settle
            }
            ("AllocationService", "Reserve" | "ReserveBatch" | "ReserveStream")
            | (
                "InventoryService",
                "SetStock" | "AdjustStock" | "ReceiveStock" | "MoveStock" | "CountStock" | "SetCellFacts",
            )
            | ("UpkeepService", "FreezeStock" | "ThawStock")
            | ("CampaignService", "EndCampaign") => Priority::Take,
            ("RoutingService", _) => Priority::Quote,
            _ => Priority::Read,
        }
    }

    /// Calls in work at which one of this priority is refused, where `limit` are left to new promises and `max` to all.
    pub(super) fn of(self, limit: u32, max: u32) -> u32 {
        match self {
            // Four times the limit: enough never to be met by what is finished while new promises are held to it, and yet a bound when
            // everything that comes is of this kind.
            Priority::Settle if limit < max - max / 8 => limit.saturating_mul(4).min(max),
            Priority::Settle => max,
            Priority::Take => limit,
            Priority::Quote => limit - limit / 4,
            Priority::Read => limit - limit / 2,
        }
    }

    /// Calls in work of one caller at which another is refused, where all together have `max`.
    pub(super) fn of_one(self, max: u32) -> u32 {
        match self {
            Priority::Settle => max - max / 8,
            Priority::Take | Priority::Quote | Priority::Read => max - max / 4,
        }
    }

    /// As metrics label it.
    pub fn label(self) -> &'static str {
        match self {
            Priority::Settle => "settle",
            Priority::Take => "take",
            Priority::Quote => "quote",
            Priority::Read => "read",
        }
    }

    /// Place in [`Priority::ALL`].
    pub fn index(self) -> usize {
        match self {
            Priority::Settle => 0,
            Priority::Take => 1,
            Priority::Quote => 2,
            Priority::Read => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_a_call_can_wait_the_less_it_may_use() {
        for limit in [1, 2, 3, 100, 3_584] {
            let of: Vec<u32> = Priority::ALL.iter().map(|priority| priority.of(limit, 4_096)).collect();
            assert!(of.is_sorted_by(|more, less| more >= less), "{limit}: {of:?}");
            assert!(of[3] >= 1, "nobody is shut out for good: {of:?}");
        }
    }

    #[test]
    fn confirmations_go_before_reservations_before_routes_before_reads() {
        let of = |service: &str, method: &str| Priority::of_method(&format!("quartermaster.v1.{service}"), method);
        assert!(of("AllocationService", "Confirm") < of("AllocationService", "Reserve"));
        assert!(of("AllocationService", "Reserve") < of("RoutingService", "Route"));
        assert!(of("RoutingService", "Split") < of("InventoryService", "GetAvailability"));
        assert_eq!(of("InventoryService", "ImportStock"), Priority::Read);
        assert_eq!(of("AllocationService", "ListReservations"), Priority::Read);
    }
}
