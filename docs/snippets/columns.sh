nearfar evaluate bm25 layouts/german.csv --set data.columns.query=frage --set data.columns.positive=antwort
