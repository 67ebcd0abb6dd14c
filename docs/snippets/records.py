import nearfar

rows = [
    {"query": "Who repairs bicycles?", "positive": ["The workshop in Mill Lane.", "Any bike shop."]},
    {"query": "How do I wash a jumper?", "positive": ["Use lukewarm water and mild soap."]},
]
data = nearfar.from_records(rows, name="advice")
print(data.name, len(data.queries), "queries", len(data.documents), "documents")
