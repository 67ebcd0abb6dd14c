from nearfar.data import normalise, text_key

print(normalise("  Who repairs\tBICYCLES? "))
assert text_key("Who repairs bicycles?") == text_key("who  repairs BICYCLES?")
