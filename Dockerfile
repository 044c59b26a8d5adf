# Gateway and engine in one image: `tandem serve` starts vLLM as its child and restarts it, as on a bare machine.
# ENGINE is cpu or gpu: which build of vLLM is installed. The GPU's driver is the host's, CUDA comes with the packages.
FROM python:3.11-slim-bookworm
ARG ENGINE=cpu
WORKDIR /app

ENV DO_NOT_TRACK=1 \
    VLLM_NO_USAGE_STATS=1 \
    VLLM_DO_NOT_TRACK=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    ANONYMIZED_TELEMETRY=False \
    GRADIO_ANALYTICS_ENABLED=False \
    RAY_USAGE_STATS_ENABLED=0 \
    SCARF_NO_ANALYTICS=true

# vLLM for the CPU is linked with libnuma; with a GPU, Triton compiles small pieces of C while it runs.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes libnuma1 $([ "$ENGINE" = gpu ] && echo gcc libc6-dev) \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home tandem \
    && install --directory --owner tandem --group tandem /workspace /home/tandem/.cache

# The packages come before the code, so that a change of code does not install them anew: setuptools is shown empty
# packages first. A mirror is named as for `make setup`, in pip's configuration: --secret id=pip,src=pip.conf
COPY pyproject.toml ./
COPY requirements requirements
COPY scripts/setup.py scripts/pip_settings.py scripts/
RUN mkdir tandem training retrieval serving eval \
    && touch README.md tandem/__init__.py training/__init__.py retrieval/__init__.py serving/__init__.py eval/__init__.py
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=pip,target=/etc/pip.conf \
    python scripts/setup.py --engine "$ENGINE" --runtime

COPY README.md ./
COPY models models
COPY examples examples
COPY tandem tandem
COPY training training
COPY retrieval retrieval
COPY serving serving
COPY eval eval
RUN .venv/bin/python -m compileall -q tandem training retrieval serving eval

ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TANDEM_HOME=/workspace \
    TANDEM_CACHE=/workspace/cache \
    TANDEM_CONFIG=/app/examples/helpdesk/tandem.yaml
USER tandem
VOLUME /workspace
EXPOSE 8321
# The first start may take as long as engine.startup_timeout_seconds.
HEALTHCHECK --interval=10s --timeout=10s --start-period=300s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8321, timeout=8); c.request('GET', '/readyz'); exit(c.getresponse().status != 200)"]
# Listening on more than loopback, the server refuses to start without keys.
ENTRYPOINT ["tandem"]
CMD ["serve", "--host", "0.0.0.0"]
