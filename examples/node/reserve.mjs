// Reserves, confirms and ships one order over gRPC, with plain @grpc/grpc-js.
//
//     npm install --prefix examples/node
//     node examples/node/reserve.mjs 127.0.0.1:7070
//
// QUARTERMASTER_CA (a PEM file) turns TLS on, QUARTERMASTER_TOKEN is sent as a bearer token. Every step is checked; the last line is "ok",
// and the exit code is 1 when an answer is not as expected.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const examples = join(dirname(fileURLToPath(import.meta.url)), "..");
const protos = join(examples, "../proto");
const files = readdirSync(join(protos, "quartermaster/v1")).map((name) => `quartermaster/v1/${name}`);
const definition = protoLoader.loadSync(files, { includeDirs: [protos], longs: String, enums: String, oneofs: true });
const api = grpc.loadPackageDefinition(definition).quartermaster.v1;

const { QUARTERMASTER_CA: ca, QUARTERMASTER_TOKEN: token } = process.env;
const target = process.argv[2] ?? "127.0.0.1:7070";
const credentials = ca ? grpc.credentials.createSsl(readFileSync(ca)) : grpc.credentials.createInsecure();
// The retry policy shipped for gateways: UNAVAILABLE alone, with the same request id. Its health check is for clients with that built in.
const config = JSON.parse(readFileSync(join(examples, "service-config.json"), "utf8"));
delete config.healthCheckConfig;
const options = { "grpc.service_config": JSON.stringify(config), "grpc.enable_retries": 1 };
const connect = (service) => new api[service](target, credentials, options);
const allocation = connect("AllocationService");
const inventory = connect("InventoryService");
const catalog = connect("CatalogService");

const metadata = new grpc.Metadata();
if (token) metadata.set("authorization", `Bearer ${token}`);

/** One call. Always with a deadline: without one a lost connection waits for ever. */
function call(client, method, request) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 5_000;
    client[method](request, metadata, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const run = randomUUID().slice(0, 8);
const [sku, location] = [`TEE-${run}`, `HZ-${run}`];
await call(catalog, "UpsertLocations", { requestId: `loc-${run}`, locations: [{ code: location, name: "杭州一号仓" }] });
await call(catalog, "UpsertSkus", { requestId: `sku-${run}`, skus: [{ code: sku }] });
await call(inventory, "SetStock", { requestId: `set-${run}`, sku, location, quantity: 5 });

// The id is ours and stays the same however often we ask: a lost answer is asked for again, and nothing is taken twice.
const order = { requestId: `order-${run}`, orderId: `order-${run}`, lines: [{ sku, quantity: 3 }] };
const first = await call(allocation, "Reserve", order);
assert.equal(first.outcome, "hold");
const again = await call(allocation, "Reserve", order);
assert.ok(again.replayed);
assert.equal(again.hold.reservationId, first.hold.reservationId);

// Sold out is an answer, not an error.
const no = await call(allocation, "Reserve", { requestId: `more-${run}`, lines: [{ sku, quantity: 3 }] });
assert.equal(no.outcome, "rejection");
assert.equal(no.rejection.shortages[0].available, "2");

// The same id with other content is an error of the caller.
await assert.rejects(call(allocation, "Reserve", { ...order, lines: [{ sku, quantity: 1 }] }), {
  code: grpc.status.ALREADY_EXISTS,
});

// Many orders at once: a message of the stream holds up to 1,000.
const stream = allocation.ReserveStream(metadata);
const sent = ["s1", "s2", "s3"].map((id) => ({ requestId: `${id}-${run}`, lines: [{ sku, quantity: 1 }] }));
stream.write({ requests: sent });
stream.end();
const results = [];
for await (const message of stream) results.push(...message.results);
assert.deepEqual(results.map((one) => one.response.outcome), ["hold", "hold", "rejection"]);

const reservationId = first.hold.reservationId;
const paid = await call(allocation, "Confirm", { requestId: `pay-${run}`, reservationId });
assert.equal(paid.update.state, "RESERVATION_STATE_CONFIRMED");
const shipped = await call(allocation, "Ship", { requestId: `ship-${run}`, reservationId });
assert.equal(shipped.update.state, "RESERVATION_STATE_SHIPPED");
console.log(`${reservationId}: reserved, paid, shipped`);
console.log("ok");
