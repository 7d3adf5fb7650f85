"""The LLM of a conversation: the local thinker, or a chat endpoint."""
