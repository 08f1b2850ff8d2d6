# SPDX-License-Identifier: Apache-2.0
"""Four people and a group, of whom only the first knows the others: one comes later, and one is taken out (chat.py)."""
from chat_line import Talker, Verdict, meet
from harness import wait_until

GROUP = "friends"


class Circle:
    """The first three are in the group. At half-time the first one puts the fourth in and takes the third out."""

    def __init__(self, cluster, share, profile):
        self.share, self.turned = share, False
        self.everybody = [Talker(cluster, f"g{i}", GROUP, profile) for i in range(4)]
        self.homes = [{} for _ in self.everybody]
        self.due = [0.0] * 4
        self.since = {}  # (speaker, reader) of the one who came later: from which number on it hears
        first, *others = self.everybody
        for other in others:
            meet(first, other, first.local("invite", "--name", other.name).split()[0])
        first.local("groups", "create", GROUP, "g1", "g2")
        self._let_in(others[:2])
        self.people = [first, *others[:2]]

    def _let_in(self, invited):
        def is_invited(person):
            self.everybody[0].poll()  # tells it; not while the first one's client runs: that does it
            person.poll()
            return GROUP in person.local("groups", "list")
        for person in invited:
            wait_until(f"{person.name}'s invitation", lambda person=person: is_invited(person), 120)
            person.local("groups", "accept", GROUP)

    def side(self, person):
        return self.everybody.index(person)

    def live(self, person, bootstrap):
        person.start(bootstrap)
        self.homes[self.side(person)][person.lives] = person.home

    def turn(self, _):
        """Everything that was said has been heard. The clients end, and those who stay hear of the change before they go on."""
        self.turned = True
        first, second, third, fourth = self.everybody
        for person in self.people:
            person.kill()
        first.local("groups", "remove", GROUP, third.name)
        first.local("groups", "add", GROUP, fourth.name)
        self._let_in([fourth])

        def has_changed():
            first.poll()
            second.poll()
            members = second.local("groups", "show", GROUP)
            return fourth.name in members and third.name not in members
        wait_until("the change of the group", has_changed, 120)
        self.people = [first, second, fourth]
        self.since = {speaker: speaker.next for speaker in (first, second)}

    def _pairs(self):
        """Who hears whom, and which numbers; all that the third one and the first two said before it went was heard then."""
        first, second, third, fourth = self.everybody
        for speaker in self.everybody:
            for reader in self.everybody:
                if speaker is reader or {speaker, reader} == {third, fourth}:
                    continue
                awaited = None
                if reader is fourth:
                    awaited = range(self.since.get(speaker, 10 ** 9), 10 ** 9)
                elif reader is third:
                    awaited = range(self.since.get(speaker, 10 ** 9))
                yield speaker, reader, awaited

    def heard_all(self):
        return not any(verdict.missing for verdict in self.verdicts())

    def said(self):
        return [len(person.said) for person in self.people]

    def finished(self):
        return min(self.said()) >= self.share

    def verdicts(self):
        return [Verdict(speaker, reader, self.homes[self.side(reader)], awaited) for speaker, reader, awaited in self._pairs()]
