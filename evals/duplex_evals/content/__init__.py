"""What the agent says and how it sounds: answers, rules, refusals, language, voice, integrity."""
