namespace MailPipeline.Storage;

/// <summary>The store was changed by a newer program in a way that this one does not know: it cannot tell what the tables mean.</summary>
public sealed class SchemaTooNewException(long found, int known)
    : Exception($"The store has schema version {found}; this program knows versions up to {known}. Run the newer program, or restore a backup.");
