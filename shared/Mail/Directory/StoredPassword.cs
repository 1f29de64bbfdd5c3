namespace MailPipeline.Mail;

/// <summary>What is kept of a password: a stretched hash for who sends it, and keys for who proves that he knows it (SCRAM).</summary>
/// <param name="ScramKeys">In the form of <see cref="Sasl.ScramKeys.ToText"/>; empty: none, and only the password itself logs in.</param>
public sealed record StoredPassword(string Hash, string ScramKeys = "")
{
    /// <param name="scramIterations">See <see cref="LoginOptions.ScramIterations"/>.</param>
    public static StoredPassword Create(string password, int scramIterations) =>
        new(PasswordHash.Create(password), scramIterations == 0 ? "" : Sasl.ScramKeys.Create(password, scramIterations).ToText());

    /// <summary>It was made otherwise than it would be now.</summary>
    public bool IsOutdated(int scramIterations) =>
        PasswordHash.IsOutdated(Hash) || (Sasl.ScramKeys.Parse(ScramKeys)?.Iterations ?? 0) != scramIterations;

    // Secrets stay out of whatever prints a record.
    public override string ToString() => nameof(StoredPassword);
}
