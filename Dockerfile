# CPU image. Its user has the number 1000; a folder that Docker makes itself belongs to root, and nothing could be written there.
# docker build -t coreset-bench .
# mkdir -p runs && docker run --rm -v "$PWD/runs:/work/runs" coreset-bench run --preset demo --out runs/demo
FROM python:3.11-slim

# torch's default wheels carry CUDA. To leave it out, give the index of CPU wheels that pytorch.org names:
# --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=""
ARG EXTRAS="vit,lite0,mnist5k,medmnist,wandb"

WORKDIR /opt/coreset-bench
COPY . .
# Ray starts a server per process and asks `ps` which of them live.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends procps \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir ".[$EXTRAS]"

# Not as root: what it writes into a mounted folder belongs to the user with this number.
RUN useradd --create-home --uid 1000 bench && mkdir /work && chown bench /work
USER bench
WORKDIR /work
ENTRYPOINT ["bench"]
CMD ["--help"]
