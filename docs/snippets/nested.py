from sentence_transformers import SentenceTransformer

model = SentenceTransformer("runs/nested/model", truncate_dim=16)
print(model.encode_query(["How do I sand a chair?"]).shape)
