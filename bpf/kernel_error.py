"""What went wrong between us and the kernel, in words for whoever has to mend it."""


class KernelError(Exception):
    """A step of kernel enforcement failed.

    `code` is a word for programs, one for each kind of failure; `what` could not be done, `where`, and `why`;
    `hint` says what to do. `log` is what the compiler or the kernel's verifier had to say, whole, for reports of bugs.
    """

    def __init__(self, code: str, what: str, *, where: str, why: str, hint: str, log: str = "") -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.where = where
        self.why = why
        self.hint = hint
        self.log = log

    @property
    def message(self) -> str:
        """One line: what, where and why."""
        return f"{self.what} (`{self.where}`): {self.why}"

    def __str__(self) -> str:
        return self.message
