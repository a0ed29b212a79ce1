"""Files written by Bio-Formats' own writers: blocks come in any order, Java gets them whole and in its order."""
