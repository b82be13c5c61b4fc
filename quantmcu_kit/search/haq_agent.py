"""The agent of ``haq``: DDPG of stable-baselines3 (extra ``[rl]``), small enough for one core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DDPG
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise

from quantmcu_kit.search.haq import FEATURES, LAST_ACTION, Episodes, Training
from quantmcu_kit.search.vdqs import Progress

_LAYERS = [300, 300]  # of actor and critic each
_NOISE, _DECAY = 1.0, 0.99  # standard deviation of exploration in [-1, 1], and what each episode leaves of it
_BATCH, _RATE, _TAU = 64, 1e-3, 0.01


class _Network(gymnasium.Env):
    """The steps of an episode."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (FEATURES,), np.float32)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        self._actions: list[float] = []

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._actions = []
        return self._state(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._actions.append(float(np.clip(action[0], 0.0, 1.0)))
        is_last = len(self._actions) == len(self._episodes.steps)
        reward = self._episodes.finish(self._actions) if is_last else 0.0
        return self._state(), reward, is_last, False, {}

    def _state(self) -> np.ndarray:
        at = min(len(self._actions), len(self._episodes.steps) - 1)
        state = self._episodes.states[at].copy()
        state[LAST_ACTION] = self._actions[-1] if self._actions else 1.0
        return state


class _Watch(BaseCallback):
    """Reports episodes, lets exploration fade, and stops early."""

    def __init__(self, episodes: Episodes, training: Training, noise: NormalActionNoise, progress: Progress) -> None:
        super().__init__()
        self._episodes, self._training, self._noise, self._progress = episodes, training, noise, progress

    def _on_rollout_end(self) -> None:
        if self._episodes.done > self._training.warm_up:
            self._noise._sigma = self._noise._sigma * _DECAY

    def _on_step(self) -> bool:
        episodes, training = self._episodes, self._training
        self._progress("haq, episodes", episodes.done, training.episodes)
        return episodes.since_best <= training.patience and episodes.done < training.episodes


def train(episodes: Episodes, training: Training, progress: Progress) -> None:
    """Let an agent learn; ``episodes`` keeps the best."""
    steps = len(episodes.steps)
    noise = NormalActionNoise(np.zeros(1), np.full(1, _NOISE))
    with _one_thread():
        agent = DDPG(
            "MlpPolicy",
            _Network(episodes),
            learning_rate=_RATE,
            buffer_size=steps * training.episodes,
            learning_starts=steps * training.warm_up,
            batch_size=_BATCH,
            tau=_TAU,
            gamma=1.0,  # the reward is that of the whole episode
            train_freq=(1, "episode"),
            gradient_steps=-1,
            action_noise=noise,
            policy_kwargs={"net_arch": _LAYERS},
            seed=training.seed,
            device="cpu",
        )
        agent.learn(steps * training.episodes, _Watch(episodes, training, noise, progress))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads cost such small networks more than they save, and the order of sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
