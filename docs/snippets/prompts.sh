nearfar config --set 'model.prompts={query: "question: ", document: "answer: "}' > prompted.yaml
