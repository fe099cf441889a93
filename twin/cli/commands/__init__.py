"""The commands, by what they are for; each module registers its own. What a command needs is imported when it runs."""
