"""stub"""
def run_jq(expression, data, meter, *, zone, dialect):
    import jq
    return list(jq.compile(expression).input_value(data))
