"""Every order of the steps of thumbnail jobs of one group, in pure Python.

A job reads the path that the group has, writes to a path of its own member's, tells the database, then deletes what
it had read: itself (until v2.4), or through a queue (from v2.5 on), whenever that gets to it. The rule is that of
`linked.watch_produced`, with the shortest time that it must look back: while a deletion by another job is due, or was
done since the job that tells had written. Orders that lead to one state are counted together, so that all of them can
be gone through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

FOREIGN = -1
"""A path that is no member's own."""


@dataclass(frozen=True, slots=True)
class JobState:
    """One member's job at hand: how many are left with it, what it has read, and how far it has come."""

    left: int
    read: int | None = None
    written: bool = False
    told: bool = False
    deleted_since: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    jobs: tuple[JobState, ...]
    path: int
    files: frozenset[int]
    queued: tuple[tuple[int, int], ...] = ()
    """Deletions that are due: of which path, by whom."""
    known: frozenset[int] = field(default_factory=frozenset)
    unsettled: bool = False

    @property
    def lost(self) -> bool:
        return self.path not in self.files

    @property
    def at_rest(self) -> bool:
        return not self.queued and all(not job.left for job in self.jobs)

    @property
    def safe(self) -> bool:
        """No file is missing, or it is known that one may be."""
        return self.unsettled or not self.lost

    @property
    def overlapping(self) -> bool:
        """More than one job, its deletion counted in, has begun and not ended."""
        busy = {who for who, job in enumerate(self.jobs) if job.read is not None} | {who for _, who in self.queued}
        return len(busy) > 1


def group(members: int, rounds: int, path: int = 0) -> Group:
    """Nothing has begun. The first member is the source."""
    return Group(tuple(JobState(rounds) for _ in range(members)), path, frozenset({path}))


def steps(now: Group, *, queued: bool) -> Iterator[tuple[int, Group]]:
    """What can come next: whose job goes on (or whose deletion is done, negative), and what is then."""
    for who, job in enumerate(now.jobs):
        if job.left:
            yield who, advance(now, who, queued=queued)
    for index, (path, who) in enumerate(now.queued):
        rest = now.queued[:index] + now.queued[index + 1 :]
        yield -1 - who, delete(replace(now, queued=rest), path, who)


def advance(now: Group, who: int, *, queued: bool) -> Group:
    job = now.jobs[who]
    if job.read is None:
        return _with(now, who, replace(job, read=now.path))
    if not job.written:
        return replace(_with(now, who, replace(job, written=True)), files=now.files | {who})
    if job.told:
        return delete(_with(now, who, JobState(job.left - 1)), job.read, who)
    if job.read == who:
        return _with(now, who, JobState(job.left - 1))
    told = tell(now, who, deletion_near(now, who))
    if queued:
        due = tuple(sorted((*now.queued, (job.read, who))))
        return replace(_with(told, who, JobState(job.left - 1)), queued=due)
    return _with(told, who, replace(job, told=True))


def tell(now: Group, who: int, deletion_near: bool = True) -> Group:
    """The rule."""
    comes_back = who in now.known and now.path != who
    known = now.known
    if now.path != who or known:
        known = known | {now.path, who}
    return replace(now, path=who, known=known, unsettled=now.unsettled or (comes_back and deletion_near))


def deletion_near(now: Group, who: int) -> bool:
    others = (job for other, job in enumerate(now.jobs) if other != who)
    return (
        now.jobs[who].deleted_since
        or any(job.told for job in others)
        or any(by != who for _, by in now.queued)
    )  # fmt: skip


def delete(now: Group, path: int, by: int) -> Group:
    jobs = tuple(
        replace(job, deleted_since=True) if who != by and job.written and not job.told else job
        for who, job in enumerate(now.jobs)
    )
    return replace(now, jobs=jobs, files=now.files - {path})


def settle(now: Group) -> Group:
    """The source's job, alone."""
    now = replace(now, jobs=(JobState(1), *(JobState(0) for _ in now.jobs[1:])), unsettled=False)
    while not now.at_rest:
        now = advance(now, 0, queued=False)
    return now


def outcomes(start: Group, *, queued: bool, alone: bool = False) -> tuple[Counter[Group], bool]:
    """How many orders end in each state, and whether a file was ever missing on the way. Alone: jobs do not overlap."""
    layer: Counter[Group] = Counter({start: 1})
    ended: Counter[Group] = Counter()
    missing = False
    while layer:
        following: Counter[Group] = Counter()
        for state, count in layer.items():
            missing = missing or state.lost
            if state.at_rest:
                ended[state] += count
                continue
            for _, then in steps(state, queued=queued):
                if not (alone and then.overlapping):
                    following[then] += count
        layer = following
    return ended, missing


def _with(now: Group, who: int, job: JobState) -> Group:
    return replace(now, jobs=(*now.jobs[:who], job, *now.jobs[who + 1 :]))
