namespace MailPipeline.Storage;

/// <summary>Another program has made the store, or changed it in a way that this one does not know: it cannot tell what the tables mean.</summary>
public sealed class UnknownSchemaException : Exception
{
    private UnknownSchemaException(string message)
        : base(message)
    {
    }

    public static UnknownSchemaException Newer(long found, int known) => new(
        $"The store has schema version {found}; this program knows versions up to {known}. Run the newer program, or restore a backup.");

    public static UnknownSchemaException Unreleased(long found) => new(
        $"The store has schema version {found} of a program before the first release, which no other program reads. Let that program deliver what waits, and begin with an empty store.");
}
