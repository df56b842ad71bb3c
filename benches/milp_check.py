#!/usr/bin/env python3
"""Solves the problems that bench-milp wrote with HiGHS, and compares.

    bench-milp --count 1000 --seed 1 --shipping > cases.jsonl
    pip install highspy && python3 benches/milp_check.py cases.jsonl --optima optima.jsonl

A proved value has to be the optimum; any other has to lie above it, and its bound below. The statement of the problem here
shares nothing with the engine's: one integer variable for each offer, one binary for each location and each step of its
tariff. Objectives with several parts are solved part by part, each held at its optimum for the next. Optima go to the file
named by --optima and are taken from there when it has them, so that a later solver is checked in seconds. Lines are held
against the problem's own text, so a changed generator is noticed. Exit status 1: something did not match.
"""

import argparse
import hashlib
import json
import pathlib
import statistics
import sys
import time

import highspy
import numpy

INFINITY = highspy.kHighsInf


def price(services, weight):
    """What the cheapest service asks for a parcel of `weight`; None when none carries it."""
    prices = []
    for first, first_price, step, step_price, limit in services:
        if limit and weight > limit:
            continue
        prices.append(first_price + step_price * max(0, -(-(weight - first) // step)))
    return min(prices, default=None)


def steps(services, total):
    """(heaviest weight, price) of each step of the tariff up to the weight of the whole order."""
    ends = {total}
    for first, _, step, _, limit in services:
        ends.update(range(first, total, step))
        ends.add(min(limit or total, total))
    found = []
    for end in sorted(ends):
        cost = price(services, end)
        if cost is None:
            break
        if found and found[-1][1] == cost:
            found[-1] = (end, cost)
        else:
            found.append((end, cost))
    return found


class Statement:
    """A mixed-integer programme, collected row by row."""

    def __init__(self):
        self.upper, self.goals, self.rows = [], [], []

    def variable(self, upper):
        self.upper.append(upper)
        return len(self.upper) - 1

    def row(self, terms, low, high):
        self.rows.append((terms, low, high))

    def optimum(self, time_limit):
        """The goals' optimum, part by part; None when time is up."""
        best, held = [], []
        for goal in self.goals:
            found = self.solve(goal, held, time_limit)
            if found is None:
                return None
            best.append(found)
            held.append((goal, found))
        return best

    def solve(self, goal, held, time_limit):
        terms, constant = goal
        lp = highspy.HighsLp()
        columns = len(self.upper)
        rows = self.rows + [(part, -INFINITY, found - shift) for (part, shift), found in held]
        lp.num_col_, lp.num_row_ = columns, len(rows)
        cost = numpy.zeros(columns)
        for column, factor in terms.items():
            cost[column] += factor
        lp.col_cost_, lp.offset_ = cost, float(constant)
        lp.col_lower_ = numpy.zeros(columns)
        lp.col_upper_ = numpy.array(self.upper, dtype=float)
        lp.row_lower_ = numpy.array([row[1] for row in rows], dtype=float)
        lp.row_upper_ = numpy.array([row[2] for row in rows], dtype=float)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        starts = numpy.cumsum([0] + [len(row[0]) for row in rows])
        lp.a_matrix_.start_ = starts.astype(numpy.int32)
        lp.a_matrix_.index_ = numpy.array([c for row in rows for c in row[0]], dtype=numpy.int32)
        lp.a_matrix_.value_ = numpy.array([f for row in rows for f in row[0].values()], dtype=float)
        lp.integrality_ = [highspy.HighsVarType.kInteger] * columns
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.setOptionValue("mip_abs_gap", 0.5)
        highs.setOptionValue("mip_feasibility_tolerance", 1e-7)
        highs.setOptionValue("time_limit", time_limit)
        highs.passModel(lp)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        value = highs.getInfo().objective_function_value
        assert abs(value - round(value)) < 1e-3, value
        return round(value)


def state(case):
    """The case as a programme with its goals."""
    s = Statement()
    lines, places = case["lines"], case["locations"]
    opened = [s.variable(1) for _ in places]
    served = [{} for _ in lines]
    weight = [{} for _ in places]
    units = [{} for _ in places]
    cost, parcels, short, penalties = {}, {}, {}, {}
    whole_lines = case["objective"] == "whole_lines_cost"
    total = sum(line["demand"] * line["weight"] for line in lines)
    for j, i, available, extra in case["offers"]:
        line = lines[j]
        bundle = line["demand"] if line["whole"] or whole_lines else 1
        most = min(available, line["demand"]) // bundle
        if most == 0:
            continue
        x = s.variable(most)
        s.row({x: 1, opened[i]: -most}, -INFINITY, 0)
        served[j][x] = 1
        weight[i][x] = line["weight"] * bundle
        units[i][x] = bundle
        cost[x] = (places[i]["pick"] + extra) * bundle
    for j, line in enumerate(lines):
        bundle = line["demand"] if line["whole"] or whole_lines else 1
        left = s.variable(line["demand"] // bundle)
        s.row({**served[j], left: 1}, line["demand"] // bundle, line["demand"] // bundle)
        short[left] = 1 if whole_lines else bundle
        penalties[left] = line["penalty"] * bundle
    for i, place in enumerate(places):
        cost[opened[i]] = place["parcel"]
        parcels[opened[i]] = 1
        if place["units_max"] is not None:
            s.row(units[i], -INFINITY, place["units_max"])
        if place["weight_max"] is not None:
            s.row(weight[i], -INFINITY, place["weight_max"])
        if place["services"]:
            chosen, carried = {opened[i]: -1}, dict(weight[i])
            for end, dearness in steps(place["services"], total):
                z = s.variable(1)
                chosen[z] = 1
                carried[z] = -end
                cost[z] = dearness
            s.row(chosen, 0, 0)
            s.row(carried, -INFINITY, 0)
    if case["parcels_max"] is not None:
        s.row(parcels, -INFINITY, case["parcels_max"])
    s.goals = {
        "money": [({**cost, **penalties}, 0)],
        "units_parcels_cost": [(short, 0), (parcels, 0), (cost, 0)],
        "units_cost": [(short, 0), (cost, 0)],
        "whole_lines_cost": [(short, 0), (cost, 0)],
    }[case["objective"]]
    return s


def as_value(objective, parts):
    """The parts in the engine's order: shortfall, parcels, cost."""
    if objective == "money":
        return [0, 0, parts[0]]
    return parts if len(parts) == 3 else [parts[0], 0, parts[1]]


def fingerprint(case):
    facts = {k: case[k] for k in ("objective", "lines", "locations", "offers", "parcels_max")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases")
    parser.add_argument("--optima", required=True, help="file of optima found so far; grows")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for one part of one problem")
    parser.add_argument("--cached-only", action="store_true", help="solve nothing, compare with what is known")
    args = parser.parse_args()
    known = {}
    path = pathlib.Path(args.optima)
    if path.exists():
        known = {row["case"]: row for row in map(json.loads, path.open())}
    compared = mismatched = unfinished = proved = 0
    ratios = []
    with path.open("a") as optima:
        for text in open(args.cases):
            case = json.loads(text)
            key = fingerprint(case)
            row = known.get(key)
            if row is None:
                if args.cached_only:
                    continue
                start = time.perf_counter()
                parts = state(case).optimum(args.time_limit)
                took = time.perf_counter() - start
                best = parts and as_value(case["objective"], parts)
                row = {"case": key, "best": best, "us": int(took * 1e6)}
                print(json.dumps(row), file=optima, flush=True)
            if row["best"] is None:
                unfinished += 1
                continue
            compared += 1
            proved += case["proved"]
            ratios.append(row["us"] / max(1, case["us"]))
            fine = case["bound"] <= row["best"] <= case["value"]
            if not fine or (case["proved"] and row["best"] != case["value"]):
                mismatched += 1
                print(f"MISMATCH case {case['id']}: {case['value']} bound {case['bound']} best {row['best']}")
    print(f"{compared} compared, {proved} of them proved here, {mismatched} mismatches, {unfinished} unfinished by HiGHS")
    if ratios:
        mean = statistics.fmean(ratios)
        print(f"time of HiGHS over ours: median {statistics.median(ratios):.0f}, mean {mean:.0f}")
    sys.exit(1 if mismatched else 0)


if __name__ == "__main__":
    main()
