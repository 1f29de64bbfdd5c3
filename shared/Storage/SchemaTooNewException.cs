namespace MailPipeline.Storage;

/// <summary>The store was written by a newer program; this one does not know what its tables mean.</summary>
public sealed class SchemaTooNewException(int found, int known)
    : Exception($"The store has schema version {found}; this program knows versions up to {known}. Run the newer program, or restore a backup.");
