"""JSON and forms: bodies, and what policies decode themselves, as scripts in Lua lay them down."""
