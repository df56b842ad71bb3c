"""Reserves, confirms and ships one order with plain grpcio; sends many in a batch and over a stream; then has the router decide about one,
and say why.

    python -m venv .venv && .venv/bin/pip install grpcio grpcio-tools
    .venv/bin/python examples/python/reserve.py 127.0.0.1:7070

The stubs are compiled from the .proto files into a temporary folder, so that nothing generated has to be kept. Against an empty server
it makes its own SKU and location first. Every step is asserted; the last line is "ok".

QUARTERMASTER_CA (a PEM file) turns TLS on, QUARTERMASTER_TOKEN is sent as a bearer token.
"""

import json
import os
import pathlib
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2] / "proto"


def stubs():
    out = tempfile.mkdtemp(prefix="quartermaster-stubs-")
    files = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "quartermaster/v1").glob("*.proto"))]
    import grpc_tools

    well_known = str(pathlib.Path(grpc_tools.__file__).parent / "_proto")
    code = protoc.main(["protoc", f"-I{ROOT}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files])
    assert code == 0, "the protos do not compile"
    sys.path.insert(0, out)


class Token(grpc.AuthMetadataPlugin):
    """Sends a bearer token with every call. grpcio itself refuses to do so without TLS, except to this machine."""

    def __init__(self, token):
        self.token = token

    def __call__(self, context, callback):
        callback((("authorization", f"Bearer {self.token}"),), None)


def connect(target, options):
    ca, token = os.environ.get("QUARTERMASTER_CA"), os.environ.get("QUARTERMASTER_TOKEN")
    if ca:
        transport = grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes())
    elif token:
        transport = grpc.local_channel_credentials()
    else:
        return grpc.insecure_channel(target, options)
    if token:
        transport = grpc.composite_channel_credentials(transport, grpc.metadata_call_credentials(Token(token)))
    return grpc.secure_channel(target, transport, options)


def main(target):
    stubs()
    from quartermaster.v1 import allocation_pb2, allocation_pb2_grpc, catalog_pb2, catalog_pb2_grpc
    from quartermaster.v1 import inventory_pb2, inventory_pb2_grpc
    from quartermaster.v1 import routing_pb2, routing_pb2_grpc, sourcing_pb2

    # The retry policy is the one shipped for gateways: UNAVAILABLE alone, with the same request id.
    config = json.loads((pathlib.Path(__file__).resolve().parents[1] / "service-config.json").read_text())
    channel = connect(target, [("grpc.service_config", json.dumps(config))])
    allocation = allocation_pb2_grpc.AllocationServiceStub(channel)
    catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
    inventory = inventory_pb2_grpc.InventoryServiceStub(channel)
    run = uuid.uuid4().hex[:12]
    sku, location = f"TEE-{run}-RED-M", f"SHA-{run}"

    place = catalog_pb2.Location(code=location, name="上海一号仓", kind=catalog_pb2.LOCATION_KIND_DISTRIBUTION_CENTRE)
    catalog.UpsertLocations(catalog_pb2.UpsertLocationsRequest(request_id=f"loc-{run}", locations=[place]), timeout=5)
    item = catalog_pb2.Sku(code=sku, style=f"TEE-{run}", colour="red", size="M")
    catalog.UpsertSkus(catalog_pb2.UpsertSkusRequest(request_id=f"sku-{run}", skus=[item]), timeout=5)
    level = inventory.SetStock(
        inventory_pb2.SetStockRequest(request_id=f"set-{run}", sku=sku, location=location, quantity=5), timeout=5
    ).level
    assert (level.on_hand, level.available) == (5, 5), level

    order = allocation_pb2.ReserveRequest(
        request_id=f"order-{run}",
        order_id=f"order-{run}",
        buyer_id="buyer-1",
        lines=[allocation_pb2.ReserveLine(sku=sku, quantity=2), allocation_pb2.ReserveLine(sku=sku, quantity=1)],
    )
    first = allocation.Reserve(order, timeout=5)
    assert first.WhichOneof("outcome") == "hold" and not first.replayed, first
    assert [(taken.location, taken.quantity) for taken in first.hold.allocations] == [(location, 3)], first
    again = allocation.Reserve(order, timeout=5)
    assert again.replayed and again.hold == first.hold and again.position.lsn == first.position.lsn, again

    greedy = allocation_pb2.ReserveRequest(
        request_id=f"greedy-{run}", lines=[allocation_pb2.ReserveLine(sku=sku, quantity=9)]
    )
    no = allocation.Reserve(greedy, timeout=5)
    assert no.WhichOneof("outcome") == "rejection" and no.rejection.shortages[0].available == 2, no

    try:
        order.lines[0].quantity = 4
        allocation.Reserve(order, timeout=5)
        raise AssertionError("a request id was reused with other content and accepted")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.ALREADY_EXISTS, error

    reservation = first.hold.reservation_id
    confirm = allocation_pb2.ConfirmRequest(request_id=f"pay-{run}", reservation_id=reservation)
    assert allocation.Confirm(confirm, timeout=5).update.state == allocation_pb2.RESERVATION_STATE_CONFIRMED
    ship = allocation_pb2.ShipRequest(request_id=f"ship-{run}", reservation_id=reservation)
    assert allocation.Ship(ship, timeout=5).update.state == allocation_pb2.RESERVATION_STATE_SHIPPED

    cells = inventory.ListCells(inventory_pb2.ListCellsRequest(sku=sku), timeout=5).cells
    assert [(cell.on_hand, cell.reserved, cell.committed, cell.available) for cell in cells] == [(2, 0, 0, 2)], cells

    # Many orders: in one message, each decided on its own and answered in its place, at a tenth of the cost of as many calls.
    def one(name, units):
        line = allocation_pb2.ReserveLine(sku=sku, quantity=units)
        return allocation_pb2.ReserveRequest(request_id=f"{name}-{run}", lines=[line])

    batch = allocation_pb2.ReserveBatchRequest(requests=[one("b1", 1), one("b2", 9)])
    results = allocation.ReserveBatch(batch, timeout=5).results
    assert [result.response.WhichOneof("outcome") for result in results] == ["hold", "rejection"], results
    # Or over a stream, as they come; answers are in the order of the requests.
    messages = [allocation_pb2.ReserveStreamRequest(requests=[one("s1", 9), one("b1", 1)])]
    (answer,) = allocation.ReserveStream(iter(messages), timeout=5)
    assert answer.results[0].response.WhichOneof("outcome") == "rejection", answer
    assert answer.results[1].response.replayed, "the batch had asked for it under this id"
    release = allocation_pb2.ReleaseRequest(
        request_id=f"back-{run}", reservation_id=results[0].response.hold.reservation_id
    )
    assert allocation.Release(release, timeout=5).update.state == allocation_pb2.RESERVATION_STATE_RELEASED

    # The router: what would serve the order, the same as a hold, and why. Nothing of it needs tariffs or a policy.
    routing = routing_pb2_grpc.RoutingServiceStub(channel)
    sourcing = sourcing_pb2.Sourcing(receiver_key="door-1", parcels_max=1)
    lines = [allocation_pb2.ReserveLine(sku=sku, quantity=2)]
    quote = routing.Route(routing_pb2.RouteRequest(lines=lines, sourcing=sourcing, explain=True), timeout=5).quote
    assert [parcel.location for parcel in quote.plan.parcels] == [location], quote
    assert quote.plan.proof == sourcing_pb2.PROOF_STATE_PROVED, quote
    sourced = allocation_pb2.ReserveRequest(request_id=f"sourced-{run}", lines=lines, sourcing=sourcing)
    hold = allocation.Reserve(sourced, timeout=5).hold
    assert [parcel.location for parcel in hold.plan.parcels] == [location] and hold.policy == quote.policy, hold
    why = routing.ExplainReservation(
        routing_pb2.ExplainReservationRequest(reservation_id=hold.reservation_id), timeout=5
    ).quote
    assert why.plan == hold.plan, why
    assert list(why.explanation.sentences) == list(quote.explanation.sentences), why
    no = routing.Route(
        routing_pb2.RouteRequest(lines=[allocation_pb2.ReserveLine(sku=sku, quantity=1)], sourcing=sourcing), timeout=5
    ).quote.plan
    assert not no.parcels and no.unserved[0].quantity == 1, no
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7070")
