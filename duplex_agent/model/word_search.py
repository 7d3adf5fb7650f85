"""From uncertain letters to words: a beam search over a lexicon, one tick at a time.

Hypotheses are spellings in the making, scored by the character head (CTC prefix scores: ending in a
blank or in a letter) and by how likely each finished word is after the one before. A word is given
out once it has stood firm for a few ticks; hypotheses that say otherwise are then dropped. With
each word go its rivals and their shares, so that the thinker can be told what was doubtful.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duplex_agent.model.ear import BLANK, CHARACTERS
from duplex_agent.model.lexicon import SENTENCE_START, LetterNode, Lexicon

_NEVER: Final = -1e9
_SPACE: Final = CHARACTERS.index(" ")
_LETTERS: Final = {c: i for i, c in enumerate(CHARACTERS)}


@dataclass(frozen=True)
class SearchConfig:
    """``lm_weight`` and ``word_bonus`` balance the word model against the sound; ``beam``
    hypotheses live; letters below ``letter_floor`` (natural log) are not tried. A word is given out
    after ``firm_ticks`` unchanged as the best guess; ``pause_ticks`` of blanks end a word, and
    ``sentence_ticks`` a sentence.
    """

    lm_weight: float = 1.0
    word_bonus: float = 2.0
    beam: int = 24
    letter_floor: float = -7.0
    firm_ticks: int = 2
    pause_ticks: int = 3
    sentence_ticks: int = 10


@dataclass(frozen=True)
class FoundWord:
    """A word and its rivals at the same place: (lexicon index, share), the best first."""

    guesses: tuple[tuple[int, float], ...]


@dataclass(slots=True)
class _Hypothesis:
    """Log scores of the spellings that end in a blank or in a letter, and of the words."""

    blank: float
    letter: float
    node: LetterNode
    words_score: float

    @property
    def total(self) -> float:
        return _either(self.blank, self.letter) + self.words_score


_Key = tuple[tuple[int, ...], str]
"""Words not yet given out, and the letters of the one in the making."""


@dataclass
class SearchState:
    """A search in progress; ``standing`` are the best guess's words with their age in ticks."""

    hypotheses: dict[_Key, _Hypothesis]
    before: int = SENTENCE_START
    standing: list[tuple[int, int]] = field(default_factory=list)
    quiet_ticks: int = 0

    def clone(self) -> "SearchState":
        """An independent copy."""
        kept = {
            key: _Hypothesis(h.blank, h.letter, h.node, h.words_score)
            for key, h in self.hypotheses.items()
        }
        return SearchState(kept, self.before, list(self.standing), self.quiet_ticks)


def _either(a: float, b: float) -> float:
    """Log of the sum of two probabilities given as logs."""
    if a < b:
        a, b = b, a
    return a if b < _NEVER / 2 else a + math.log1p(math.exp(b - a))


class WordSearch:
    """The search itself; all that changes is in the state."""

    def __init__(self, lexicon: Lexicon, config: SearchConfig | None = None) -> None:
        self.lexicon = lexicon
        self.config = config or SearchConfig()

    def new_state(self) -> SearchState:
        """A search that has heard nothing."""
        return SearchState({((), ""): _Hypothesis(0.0, _NEVER, self.lexicon.root, 0.0)})

    def step(self, state: SearchState, spelled: NDArray[np.float32]) -> list[FoundWord]:
        """Take one tick of character log-probabilities [frames, characters]; words now certain.

        Changes ``state`` in place.
        """
        quiet = bool((spelled.argmax(1) == BLANK).all())
        state.quiet_ticks = state.quiet_ticks + 1 if quiet else 0
        for frame in spelled.tolist():
            self._frame(state, frame)
        if state.quiet_ticks == self.config.pause_ticks:
            self._end_word(state)
        found = self._firm_words(state)
        if state.quiet_ticks == self.config.sentence_ticks:
            state.before = SENTENCE_START
        return found

    def _word_score(self, state: SearchState, words: tuple[int, ...], word: int) -> float:
        before = words[-1] if words else state.before
        probability = self.lexicon.log_probability(word, before)
        return self.config.lm_weight * probability + self.config.word_bonus

    def _frame(self, state: SearchState, frame: list[float]) -> None:
        likely = [i for i in range(1, len(frame)) if frame[i] > self.config.letter_floor]
        grown: dict[_Key, _Hypothesis] = {}

        def add(key: _Key, blank: float, letter: float, node: LetterNode, score: float) -> None:
            known = grown.get(key)
            if known is None:
                grown[key] = _Hypothesis(blank, letter, node, score)
            else:
                known.blank = _either(known.blank, blank)
                known.letter = _either(known.letter, letter)

        for key, h in state.hypotheses.items():
            words, part = key
            total = _either(h.blank, h.letter)
            last = _LETTERS[part[-1]] if part else _SPACE
            add(key, total + frame[BLANK], h.letter + frame[last], h.node, h.words_score)
            for i in likely:
                base = (h.blank if i == last else total) + frame[i]
                if i == _SPACE:
                    if not part:
                        add(key, _NEVER, base, h.node, h.words_score)
                    elif h.node.word is not None:
                        score = h.words_score + self._word_score(state, words, h.node.word)
                        add(((*words, h.node.word), ""), _NEVER, base, self.lexicon.root, score)
                    continue
                following = h.node.following.get(CHARACTERS[i])
                if following is not None:
                    spelling = part + CHARACTERS[i]
                    add((words, spelling), _NEVER, base, following, h.words_score)
        best = sorted(grown.items(), key=lambda item: -item[1].total)[: self.config.beam]
        # Scores are kept near zero, or a long conversation would run out of precision.
        top = best[0][1].total
        for _, h in best:
            h.blank -= top
            h.letter -= top
        state.hypotheses = dict(best)

    def _end_word(self, state: SearchState) -> None:
        """The speaker has paused: what is spelled so far is a word, or it was nothing."""
        ended: dict[_Key, _Hypothesis] = {}
        for (words, part), h in state.hypotheses.items():
            score = h.words_score
            if part and h.node.word is not None:
                score += self._word_score(state, words, h.node.word)
                words = (*words, h.node.word)
            elif part:
                continue
            total = _either(h.blank, h.letter)
            known = ended.get((words, ""))
            if known is None or known.total < total + score:
                ended[(words, "")] = _Hypothesis(total, _NEVER, self.lexicon.root, score)
        if not ended:
            # Nothing spelled was a word: only the words before it remain.
            (words, _), h = max(state.hypotheses.items(), key=lambda item: item[1].total)
            ended[(words, "")] = _Hypothesis(0.0, _NEVER, self.lexicon.root, h.words_score)
        state.hypotheses = ended

    def _firm_words(self, state: SearchState) -> list[FoundWord]:
        (words, _), _ = max(state.hypotheses.items(), key=lambda item: item[1].total)
        standing = []
        same = True
        for place, word in enumerate(words):
            same = same and place < len(state.standing) and state.standing[place][0] == word
            standing.append((word, state.standing[place][1] + 1 if same else 0))
        state.standing = standing
        found = []
        # After a pause nothing can change any more, and somebody may be waiting for an answer.
        paused = state.quiet_ticks >= self.config.pause_ticks
        age = 0 if paused else self.config.firm_ticks
        while state.standing and state.standing[0][1] >= age:
            found.append(self._give_out(state, state.standing.pop(0)[0]))
        return found

    def _give_out(self, state: SearchState, word: int) -> FoundWord:
        shares: dict[int, float] = {}
        top = max(h.total for h in state.hypotheses.values())
        for (words, _), h in state.hypotheses.items():
            if words:
                shares[words[0]] = shares.get(words[0], 0.0) + math.exp(h.total - top)
        whole = sum(shares.values())
        rivals = sorted(shares.items(), key=lambda item: (item[0] != word, -item[1]))
        state.hypotheses = {
            (words[1:], part): h
            for (words, part), h in state.hypotheses.items()
            if words and words[0] == word
        }
        state.before = word
        return FoundWord(tuple((index, share / whole) for index, share in rivals))
