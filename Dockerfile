# The service in a container. Build: docker build -t mesoscope . ; run: docker compose up (compose.yaml).
# Two stages: the first builds wheels, the second installs them and holds no compiler, no sources.
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
COPY packaging/readme_hook.py ./packaging/
RUN python -m venv /opt/mesoscope \
    && /opt/mesoscope/bin/pip install --no-cache-dir --constraint constraints.txt \
       ".[serve,postgres,report,c2pa]"

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="mesoscope" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin mesoscope \
    && install --directory --owner=mesoscope --group=mesoscope --mode=0700 /data
COPY --from=build /opt/mesoscope /opt/mesoscope
ENV PATH=/opt/mesoscope/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# All addresses of the container; callers need a key, made with:
#   docker compose exec mesoscope mesoscope keys add NAME --data /data
ENTRYPOINT ["mesoscope", "serve", "--host", "0.0.0.0", "--data", "/data"]
