"""Mini-batches in PyTorch by index, without a data loader, which would be slower; plain torch.optim.SGD."""

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "torch"
    requirements = ("torch",)

    def set_objective(self, X, y):
        import torch

        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)

    def run(self, epochs=1):
        import torch

        size = self.settings.get("batch_size", 32)
        w = torch.zeros(self.X.shape[1], dtype=self.X.dtype, requires_grad=True)
        b = torch.zeros((), dtype=self.X.dtype, requires_grad=True)
        optimizer = torch.optim.SGD([w, b], lr=self.settings.get("eta0", 0.01))
        for _ in range(epochs):
            for rows in torch.randperm(len(self.y)).split(size):
                optimizer.zero_grad()
                loss = 0.5 * ((self.X[rows] @ w + b - self.y[rows]) ** 2).mean()
                loss.backward()
                optimizer.step()
        self.result = w.detach().numpy(), float(b.detach())

    def get_result(self):
        return self.result
