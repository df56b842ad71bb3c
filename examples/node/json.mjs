// The same order over the JSON view with nothing but fetch: any RPC is a POST, described by GET /openapi.json.
//
//     node examples/node/json.mjs http://127.0.0.1:7070
//
// QUARTERMASTER_TOKEN is sent as a bearer token; NODE_EXTRA_CA_CERTS is Node's own way to trust a CA.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

const target = process.argv[2] ?? "http://127.0.0.1:7070";
const token = process.env.QUARTERMASTER_TOKEN;

/** An error of the server: its code, its reason, and whether asking again with the same request id may help. */
class CallError extends Error {
  constructor(body) {
    super(`${body.code}: ${body.message}`);
    const details = (body.details ?? []).map((detail) => detail.debug ?? {});
    this.code = body.code;
    this.reason = details.find((detail) => detail.reason)?.reason;
    this.retryAfterMs = Number.parseFloat(details.find((detail) => detail.retryDelay)?.retryDelay) * 1_000 || 0;
  }
}

/** One call, repeated under the same request id while its outcome is not known. */
async function call(method, request, tries = 5) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await fetch(`${target}/quartermaster.v1.${method}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "connect-timeout-ms": "1000",
          ...(token ? { authorization: `Bearer ${token}` } : {}),
        },
        body: JSON.stringify(request),
        signal: AbortSignal.timeout(2_000),
      });
      const body = await response.json();
      if (response.ok) return body;
      throw new CallError(body);
    } catch (error) {
      const unknown = !(error instanceof CallError) || ["unavailable", "deadline_exceeded"].includes(error.code);
      if (!unknown || attempt >= tries) throw error;
      const backoff = Math.random() * 20 * 2 ** attempt;
      await new Promise((wake) => setTimeout(wake, (error.retryAfterMs ?? 0) + backoff));
    }
  }
}

const run = randomUUID().slice(0, 8);
const [sku, location] = [`CAP-${run}`, `SH-${run}`];
await call("CatalogService/UpsertLocations", { requestId: `loc-${run}`, locations: [{ code: location }] });
await call("CatalogService/UpsertSkus", { requestId: `sku-${run}`, skus: [{ code: sku }] });
// 64-bit numbers are strings in answers; in requests both are taken.
const { level } = await call("InventoryService/SetStock", { requestId: `set-${run}`, sku, location, quantity: "2" });
assert.equal(level.available, "2");

const order = { requestId: `order-${run}`, lines: [{ sku, quantity: 2 }] };
const first = await call("AllocationService/Reserve", order);
const again = await call("AllocationService/Reserve", order);
assert.equal(again.replayed, true);
assert.equal(again.hold.reservationId, first.hold.reservationId);

const no = await call("AllocationService/Reserve", { requestId: `more-${run}`, lines: [{ sku, quantity: 1 }] });
assert.equal(no.rejection.reason, "REJECTION_REASON_INSUFFICIENT_STOCK");

await assert.rejects(call("AllocationService/Reserve", { requestId: `bad-${run}`, lines: [{ sku: "NONE", quantity: 1 }] }), {
  code: "not_found",
  reason: "UNKNOWN_SKU",
});

const reservationId = first.hold.reservationId;
await call("AllocationService/Confirm", { requestId: `pay-${run}`, reservationId });
const shipped = await call("AllocationService/Ship", { requestId: `ship-${run}`, reservationId });
assert.equal(shipped.update.state, "RESERVATION_STATE_SHIPPED");
console.log(`${reservationId}: reserved, paid, shipped`);
console.log("ok");
