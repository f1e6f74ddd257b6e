//! The template language of agent definitions: parsed once, evaluated within limits
