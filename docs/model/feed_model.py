#!/usr/bin/env python3
"""A model of the change feed: is a revoked key ever accepted later than the bound allows?

The model plays random histories. Three isolates verify three keys, while keys are revoked and enabled, isolates are
evicted, the feed is pruned, answers of the database arrive late and out of order, and KV returns any value that it
ever held. A late acceptance is an answer that a key is good, given more than BOUND seconds after its revocation was
acknowledged.

usage:
  feed_model.py                         check the protocol, and that every mutation of it is caught
  feed_model.py --histories 400000      check the protocol alone, in more histories
  feed_model.py --mutation NAME         look for late acceptances with one rule broken
  feed_model.py --seed 42               play one history (with --mutation, a broken one)

History N is always the same, on every machine: its seed is N. The exit code is 0 if everything is as it should be (no
late acceptance in the protocol, at least one in each mutation that was played), 1 if not.
"""

import argparse
import heapq
import random
import sys

BOUND = 5.0     # seconds for which a feed may vouch: MAX_STALENESS_SECONDS
WINDOW = 8      # the most keys whose last change pruning keeps
PAGE = 4        # the most changes that one read of the feed returns
ISOLATES = 3
KEYS = "abc"
NEVER = float("-inf")

HISTORIES = 12_000
# Each mutation breaks one rule of the protocol. The number says in how many histories it is looked for.
MUTATIONS = {
    "no_feed_check": 500,           # a snapshot is believed although its key changed after it was read
    "no_base_check": 500,           # ... although the feed does not reach back to it
    "seq_after_read": 1_500,        # the row and the feed's head are read one after the other, not in one batch
    "age_from_answer": 1_500,       # a feed's age counts from its answer, not from before its question
    "pruning_ignored": 1_500,       # changes that were pruned before they were read do not move the base
    "overflow_ignored": 500,        # changes that did not fit into one read do not move the base
    "overtaken_applied": 12_000,    # an answer that a newer one has overtaken is applied nevertheless
}


class Database:
    """The primary: every key's state, and the number of its last change."""

    def __init__(self):
        self.seq = 0
        self.last_change = {}
        self.pruned = 0             # changes up to this one may have been pruned
        self.active = dict.fromkeys(KEYS, True)

    def change(self, key, active):
        """One transaction: the key's row and its row of the feed."""
        self.active[key] = active
        self.seq += 1
        self.last_change[key] = self.seq

    def prune(self, keep):
        """Deletes the oldest rows, and notes how far."""
        for seq, key in self.rows()[:-keep]:
            del self.last_change[key]
            self.pruned = seq

    def rows(self):
        """One row for each key, in the order of the changes."""
        return sorted((seq, key) for key, seq in self.last_change.items())

    def snapshot(self, key):
        """One batch: the row, and the head of the feed at that moment."""
        return key, self.active[key], self.seq

    def news(self, after):
        """The newest PAGE rows after `after`, the head, and how far was pruned."""
        return [row for row in self.rows() if row[0] > after][-PAGE:], self.seq, self.pruned


class Isolate:
    """One isolate's memory: its snapshots and its feed."""

    def __init__(self):
        self.snapshots = {}
        self.base = None            # every change after this one is known; None: the feed was never read
        self.head = 0
        self.last_change = {}
        self.read_at = NEVER

    def apply(self, news, after, sent_at, mutation):
        rows, head, pruned = news
        if head < self.head and mutation != "overtaken_applied":
            return
        # The last change of every key is known that changed after the floor.
        floor = after
        if len(rows) == PAGE and (self.base is None or mutation != "overflow_ignored"):
            floor = max(floor, rows[0][0] - 1)
        if self.base is None or mutation != "pruning_ignored":
            floor = max(floor, pruned)
        if floor > after or self.base is None:
            self.base = floor
            self.last_change = {}
        for seq, key in rows:
            self.last_change[key] = max(seq, self.last_change.get(key, 0))
        self.head = max(self.head, head)
        self.read_at = max(self.read_at, sent_at)

    def believes(self, snapshot, now, mutation):
        key, _, seq = snapshot
        if now - self.read_at > BOUND:
            return False
        if seq > self.head or (seq < self.base and mutation != "no_base_check"):
            return False
        return self.last_change.get(key, 0) <= seq or mutation == "no_feed_check"


class History:
    """One history, all of it drawn from `seed`."""

    def __init__(self, seed, mutation=None):
        self.random = random.Random(seed)
        self.mutation = mutation
        self.database = Database()
        self.kv = {key: [] for key in KEYS}
        self.isolates = [Isolate() for _ in range(ISOLATES)]
        self.revoked_at = {}        # when each revocation was acknowledged
        self.late = []              # (time, key, revoked at)
        self.queue = []
        self.scheduled = 0

    def at(self, time, action):
        self.scheduled += 1
        heapq.heappush(self.queue, (time, self.scheduled, action))

    def play(self):
        """Plays the history and returns its late acceptances."""
        now = 0.0
        for _ in range(self.random.randrange(20, 90)):
            now += self.random.expovariate(1.2)
            self.at(now, self.event())
        while self.queue:
            now, _, action = heapq.heappop(self.queue)
            action(now)
        return self.late

    def event(self):
        choice = self.random.random()
        key, isolate = self.random.choice(KEYS), self.random.randrange(ISOLATES)
        if choice < 0.62:
            return lambda now: self.verify(now, isolate, key)
        if choice < 0.74:
            return lambda now: self.revoke(now, key)
        if choice < 0.82:
            return lambda now: self.enable(key)
        if choice < 0.88:
            others = self.random.randrange(1, 12)
            return lambda now: [self.database.change(f"other {number}", True) for number in range(others)]
        if choice < 0.93:
            return lambda now: self.database.prune(self.random.randrange(1, WINDOW))
        return lambda now: self.evict(isolate)

    def revoke(self, now, key):
        self.database.change(key, False)
        self.revoked_at.setdefault(key, now)

    def enable(self, key):
        self.database.change(key, True)
        self.revoked_at.pop(key, None)

    def evict(self, isolate):
        self.isolates[isolate] = Isolate()

    def accept(self, now, snapshot):
        key, active, _ = snapshot
        revoked_at = self.revoked_at.get(key)
        if active and revoked_at is not None and now > revoked_at + BOUND + 1e-9:
            self.late.append((now, key, revoked_at))

    def verify(self, now, isolate, key, attempt=0):
        memory = self.isolates[isolate]
        held = [memory.snapshots[key]] if key in memory.snapshots else []
        if self.kv[key]:
            held.append(self.random.choice(self.kv[key]))
        for snapshot in held:
            if memory.believes(snapshot, now, self.mutation):
                memory.snapshots[key] = snapshot
                self.accept(now, snapshot)
                if now - memory.read_at > BOUND / 2:
                    self.refresh(now, isolate)
                return
        self.ask_database(now, isolate, key, attempt)

    def ask_database(self, sent_at, isolate, key, attempt):
        """One batch for the key and the feed, with delays on both ways."""
        memory = self.isolates[isolate]
        after = memory.head
        runs_at = sent_at + self.random.expovariate(2)
        back_at = runs_at + self.random.expovariate(2)

        def run(now):
            snapshot, news = self.database.snapshot(key), self.database.news(after)
            if self.mutation == "seq_after_read":
                def read_seq(later):
                    arrive(later, (key, snapshot[1], self.database.seq), news)
                self.at(now + self.random.expovariate(3), read_seq)
            else:
                self.at(max(back_at, now), lambda later: arrive(later, snapshot, news))

        def arrive(now, snapshot, news):
            if self.isolates[isolate] is memory:
                memory.apply(news, after, self.age_from(sent_at, now), self.mutation)
            memory.snapshots[key] = max(memory.snapshots.get(key, snapshot), snapshot, key=lambda held: held[2])
            self.kv[key].append(snapshot)
            if memory.base is not None and memory.believes(snapshot, now, self.mutation):
                self.accept(now, snapshot)
            elif attempt < 2:
                self.verify(now, isolate, key, attempt + 1)     # and after three attempts the answer is 503

        self.at(runs_at, run)

    def refresh(self, sent_at, isolate):
        """One read of the feed, behind an answer."""
        memory = self.isolates[isolate]
        after = memory.head
        runs_at = sent_at + self.random.expovariate(1)
        back_at = runs_at + self.random.expovariate(1)

        def run(now):
            news = self.database.news(after)
            self.at(max(back_at, now), lambda later: arrive(later, news))

        def arrive(now, news):
            if self.isolates[isolate] is memory:
                memory.apply(news, after, self.age_from(sent_at, now), self.mutation)

        self.at(runs_at, run)

    def age_from(self, sent_at, answered_at):
        return answered_at if self.mutation == "age_from_answer" else sent_at


def check(histories, mutation=None, first=0, stop_early=False):
    """Plays histories, prints a line, and returns whether the result is as it should be."""
    late, played = [], 0
    for seed in range(first, first + histories):
        late += [(seed, *acceptance) for acceptance in History(seed, mutation).play()]
        played += 1
        if late and stop_early:
            break
    name = mutation or "the protocol"
    good = bool(late) == bool(mutation)
    print(f"{'ok ' if good else 'BAD'} {name}: {len(late)} late acceptances in {played} histories")
    if late and not mutation:
        seed, now, key, revoked_at = late[0]
        print(f"    seed {seed}: key {key}, revoked at {revoked_at:.3f} s, was accepted at {now:.3f} s")
    return good


def main():
    parser = argparse.ArgumentParser(description="A model of Bitting's change feed.")
    parser.add_argument("--histories", type=int, help="how many histories to play")
    parser.add_argument("--mutation", choices=MUTATIONS, help="the rule to break")
    parser.add_argument("--seed", type=int, help="the one history to play")
    options = parser.parse_args()
    if options.seed is not None:
        good = check(1, options.mutation, first=options.seed)
    elif options.mutation or options.histories:
        good = check(options.histories or MUTATIONS[options.mutation], options.mutation)
    else:
        results = [check(HISTORIES)]
        results += [check(most, mutation, stop_early=True) for mutation, most in MUTATIONS.items()]
        good = all(results)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
