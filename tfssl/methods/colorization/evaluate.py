def evaluate(*a, **k): raise NotImplementedError
def write_sheet(method, model, source, path): pass
