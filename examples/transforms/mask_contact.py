"""Record transform: mask email and phone, drop the social security number, keep everything else."""


def transform(input, metadata, args):
    output = {key: value for key, value in input.items() if key != "ssn"}
    if output.get("email"):
        local, _, domain = str(output["email"]).rpartition("@")
        output["email"] = f"{local[:1]}***@{domain}" if len(local) > 1 and domain else "***"
    if output.get("phone"):
        phone = str(output["phone"])
        output["phone"] = "***" + phone[-2:] if sum(char.isdigit() for char in phone) >= 6 else "***"
    return output
