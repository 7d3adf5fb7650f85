"""What the agent says: answers, instructions, refusals, memory, language, style."""
