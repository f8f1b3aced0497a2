# The image that compose.yaml builds. BASE may be any Debian image with Python 3.11 or newer.
ARG BASE=python:3.11-slim
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends git openssh-client && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements/runtime.txt requirements/
RUN python3 -m venv /opt/podium && /opt/podium/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY daemon daemon
RUN /opt/podium/bin/pip install --no-cache-dir --no-deps --no-build-isolation . && rm -rf /src
ENV PATH=/opt/podium/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /
VOLUME /var/lib/podium
EXPOSE 8080
CMD ["podium", "serve"]
