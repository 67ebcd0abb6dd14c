from sentence_transformers import SentenceTransformer

model = SentenceTransformer("runs/first/model")
queries = model.encode_query(["Where should I keep a sofa in winter?"])
documents = model.encode_document(["Store the couch in a dry place.", "Noise should stay below forty decibels."])
print(model.similarity(queries, documents))
