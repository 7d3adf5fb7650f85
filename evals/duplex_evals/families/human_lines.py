"""Which human recordings can stand for which kind of line. Names of Asterisk's English prompts."""

from typing import Final

# Whole sentences of one and a half to five seconds.
TURNS: Final = (
    "vm-savefolder", "tt-weasels", "vm-nonumber", "conf-onlyperson", "number-not-answering",
    "vm-changeto", "please-try-call-later", "conf-waitforleader", "privacy-incorrect",
    "vm-nobodyavail", "speed-dial-empty", "feature-not-avail-line", "vm-tempgreetactive",
    "cannot-complete-as-dialed", "conf-noempty", "dir-nomore", "sorry-youre-having-problems",
    "vm-msgforwarded", "confbridge-lock-no-join", "demo-nomatch",
)  # fmt: skip

# Phrases that were recorded to be continued, and what continues them.
HELD: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (("vm-theperson",), ("vm-isonphone",)),
    (("queue-thereare",), ("digits/4",)),
    (("confbridge-there-are", "digits/6"), ("confbridge-participants",)),
    (("conf-thereare", "digits/3"), ("conf-otherinparty",)),
    (("at-tone-time-exactly",), ("digits/7", "digits/oclock")),
    (("vm-num-i-have",), ("digits/5", "digits/2", "digits/9")),
    (("conf-enteringno",), ("digits/9",)),
    (("vm-from-extension",), ("digits/8", "digits/1")),
    (("if-correct-press",), ("digits/1",)),
    (("confbridge-mute-in",), ("vm-press", "digits/3")),
    (("confbridge-menu-exit-in",), ("vm-press", "digits/2")),
    (("confbridge-leave-in",), ("vm-press", "digits/star")),
    (("confbridge-lock-in",), ("vm-press", "digits/8")),
    (("confbridge-inc-talk-vol-in",), ("vm-press", "digits/5")),
    (("confbridge-dec-list-vol-in",), ("vm-press", "digits/4")),
    (("queue-holdtime",), ("digits/5", "minutes")),
    (("vm-duration",), ("digits/2", "minutes")),
    (("num-was-successfully",), ("removed",)),
    (("vm-from-phonenumber",), ("digits/6", "digits/0", "digits/4")),
    (("confbridge-remove-last-in",), ("vm-press", "digits/7")),
)

FOLLOW_UPS: Final = ("vm-savefolder", "vm-changeto", "vm-whichbox", "privacy-prompt", "vm-rec-name")
NEGATIONS: Final[tuple[tuple[str, ...], ...]] = (
    ("vm-no", "pm-invalid-option"),
    ("privacy-incorrect",),
    ("vm-no", "vm-sorry"),
    ("vm-no", "tt-somethingwrong"),
    ("im-sorry", "vm-incorrect"),
)
TOPIC_SWITCHES: Final = (
    "tt-weasels", "all-circuits-busy-now", "something-terribly-wrong", "conf-leaderhasleft",
    "demo-echodone",
)  # fmt: skip
STOPS: Final = ("one-moment-please", "dictate/pause", "cancelled", "do-not-disturb", "vm-goodbye")

# Long prompts cut at their own pauses: name, start and end in seconds.
NARRATIVES: Final = (
    ("demo-instruct", 0.6, 9.5), ("demo-instruct", 19.7, 28.2), ("demo-instruct", 28.2, 39.0),
    ("demo-instruct", 39.0, 52.4), ("demo-instruct", 52.4, 62.3), ("demo-instruct", 62.3, 72.4),
    ("priv-callee-options", 0.0, 10.8), ("priv-callee-options", 10.8, 23.1),
    ("priv-callee-options", 23.1, 31.0), ("basic-pbx-ivr-main", 0.0, 10.5),
    ("basic-pbx-ivr-main", 10.5, 22.7), ("demo-echotest", 0.0, 9.6),
    ("demo-echotest", 9.6, 21.9), ("conf-adminmenu", 0.0, 10.0), ("conf-adminmenu", 10.0, 19.0),
    ("vm-msginstruct", 0.0, 14.5), ("demo-moreinfo", 0.0, 14.5), ("vm-options", 0.0, 8.8),
    ("screen-callee-options", 0.0, 13.4), ("demo-abouttotry", 0.0, 15.1),
)  # fmt: skip
MONOLOGUES: Final = (
    ("demo-echotest", 0.0, 21.9), ("conf-adminmenu", 0.0, 19.0), ("demo-instruct", 0.6, 19.7),
    ("vm-options", 0.0, 16.3), ("screen-callee-options", 0.0, 17.9),
    ("conf-adminmenu-menu8", 0.0, 17.2), ("basic-pbx-ivr-main", 0.0, 20.0),
    ("demo-instruct", 19.7, 39.0), ("conf-usermenu-162", 0.0, 18.5),
    ("priv-callee-options", 0.0, 16.4), ("demo-abouttotry", 0.0, 15.1),
    ("vm-msginstruct", 0.0, 14.5), ("demo-instruct", 39.0, 57.0),
    ("priv-callee-options", 14.5, 31.0), ("demo-moreinfo", 0.0, 14.5),
    ("demo-instruct", 52.4, 72.4), ("conf-adminmenu-162", 0.0, 20.9),
    ("basic-pbx-ivr-main", 6.4, 25.2), ("conf-usermenu", 0.0, 13.6),
    ("conf-adminmenu-18", 0.0, 21.6),
)  # fmt: skip

# Asterisk's folders by number: what a correction or a memory can be about.
FOLDERS: Final = (
    ("vm-Cust1", ["5", "five"]), ("vm-Cust2", ["6", "six"]), ("vm-Cust3", ["7", "seven"]),
    ("vm-Cust4", ["8", "eight"]), ("vm-Cust5", ["9", "nine"]),
)  # fmt: skip

# Small sounds of a mouth, cut from spoken letters: name, start and end in seconds.
HUM: Final = ("letters/m", 0.28, 0.50)
SMALL_SOUNDS: Final = (
    ("letters/m", 0.28, 0.50), ("letters/r", 0.30, 0.60), ("letters/h", 0.40, 0.57),
    ("letters/n", 0.28, 0.50), ("letters/f", 0.06, 0.26),
)  # fmt: skip

# Recorded sounds that are no speech.
SOUNDS: Final = (
    ("tt-monkeys", 0.0, 0.7), ("beep", 0.0, 0.5), ("tt-monkeys", 1.0, 2.9),
    ("confbridge-join", 0.0, 0.5), ("tt-monkeys", 3.2, 5.0), ("ascending-2tone", 0.0, 0.3),
    ("tt-monkeys", 5.0, 8.0), ("beeperr", 0.0, 0.5), ("tt-monkeys", 8.0, 9.5),
    ("confbridge-leave", 0.0, 0.5), ("tt-monkeys", 9.5, 11.5), ("descending-2tone", 0.0, 0.3),
    ("tt-monkeys", 11.5, 13.0), ("tt-monkeys", 13.0, 14.2), ("tt-monkeys", 14.2, 16.0),
    ("tt-monkeys", 3.2, 4.0), ("tt-monkeys", 6.0, 6.8), ("tt-monkeys", 7.5, 9.0),
    ("tt-monkeys", 10.0, 10.9), ("tt-monkeys", 12.0, 15.0),
)  # fmt: skip
