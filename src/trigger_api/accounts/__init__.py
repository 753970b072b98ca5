"""Users, sessions, tokens and limits: rules without HTTP."""
