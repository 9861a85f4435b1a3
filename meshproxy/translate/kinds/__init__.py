"""One file a kind: an object's fields, checked and typed, without looking at any other object.

What comes out depends on the document's text alone, so it is kept for as long as the text is the
same. Rules are those of Istio's API (istio.io/docs/reference/config) and of its validation; each
file names where a rule comes from when it is not plain from the field's name.
"""
