"""Examples that a program drafts from documents, and a person accepts, edits or rejects before training uses them."""
