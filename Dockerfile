# The service alone: nothing of the tool, no compiler, no root. Requirements first, so that a change of the code
# rebuilds only the last layer.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    HOST=0.0.0.0 \
    PORT=8000

WORKDIR /app
COPY requirements-serve.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements-serve.txt \
 && useradd --system --no-create-home --shell /usr/sbin/nologin service
COPY service service

USER service
EXPOSE 8000
# GET /ready answers 200 once the model is loaded and can be asked.
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=5 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/ready', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "service/gunicorn.conf.py", "service.app:app"]
