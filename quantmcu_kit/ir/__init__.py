"""The intermediate representation: frozen values that every stage exchanges."""
