using System.Globalization;
using MailPipeline.Console.Access;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace MailPipeline.Console.Api;

/// <summary>The document of the API (OpenAPI 3.1): what is generated from the code, and what the code does not say of itself.</summary>
internal sealed class ApiDocument([FromKeyedServices(ApiDocument.Name)] IOpenApiDocumentProvider provider)
{
    public const string Name = "v1";

    private const string Bearer = "bearer";

    /// <summary>What may become of any request; what may of one is said where it is mapped.</summary>
    private static readonly (int Status, string Description)[] s_problems =
    [
        (400, "The request makes no sense"), (401, "A token is needed"), (403, "The token is not for this"), (429, "Too many requests"),
        (500, "It failed"), (503, "Not now"),
    ];

    private readonly Lock _gate = new();

    private Task<byte[]>? _made;

    /// <summary>Made once: it is the same for everybody.</summary>
    public Task<byte[]> ReadAsync(CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_made is null or { IsFaulted: true })
                _made = MakeAsync();
            return _made.WaitAsync(cancellation);
        }
    }

    public static void SetUp(OpenApiOptions options)
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "MailPipeline", Version = "1",
                Description = "What an operator asks and does, for programs. Lists come in pages: 'next' of one is the 'cursor' of the following. Properties may be added to answers; none changes its meaning.",
            };
            // Where it answers is for who runs it to say.
            document.Servers = [];
            document.Components ??= new OpenApiComponents();
            document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
            {
                [Bearer] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = Bearer, Description = "A token of 'mail token create'" },
            };
            document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Bearer, document)] = [] }];
            return Task.CompletedTask;
        });
        options.AddSchemaTransformer((schema, context, _) =>
        {
            // What is asked for has no other properties; what is answered may have some one day.
            if (!context.JsonTypeInfo.Type.Name.StartsWith("New", StringComparison.Ordinal) && context.JsonTypeInfo.Type != typeof(Flush))
                schema.AdditionalPropertiesAllowed = true;
            if (context.JsonTypeInfo.Type == typeof(ProblemDetails))
            {
                schema.Properties ??= new Dictionary<string, IOpenApiSchema>();
                schema.Properties["field"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "Of the body, the query or the header" };
            }
            return Task.CompletedTask;
        });
        options.AddOperationTransformer(async (operation, context, cancellation) =>
        {
            operation.OperationId = IdOf(context.Description.HttpMethod ?? "", context.Description.RelativePath ?? "");
            var metadata = context.Description.ActionDescriptor.EndpointMetadata;
            if (metadata.OfType<TokenAccess.ScopeAsked>().LastOrDefault() is { } asked)
                operation.Description = $"Scope: {Words.Of(asked.Scope)}";
            operation.Parameters ??= [];
            if (metadata.OfType<KeyAccepted>().Any())
                operation.Parameters.Add(Header("Idempotency-Key", "A repeated request with the same one is answered as the first was"));
            if (metadata.OfType<TagAccepted>().Any())
                operation.Parameters.Add(Header("If-Match", "The change is made only where the thing has this ETag"));
            var problem = await context.GetOrCreateSchemaAsync(typeof(ProblemDetails), null, cancellation);
            operation.Responses ??= [];
            foreach (var (status, description) in s_problems)
            {
                operation.Responses.TryAdd(status.ToString(CultureInfo.InvariantCulture), new OpenApiResponse
                {
                    Description = description,
                    Content = new Dictionary<string, OpenApiMediaType> { ["application/problem+json"] = new() { Schema = problem } },
                });
            }
        });
    }

    private static OpenApiParameter Header(string name, string description) => new()
    {
        Name = name, In = ParameterLocation.Header, Schema = new OpenApiSchema { Type = JsonSchemaType.String }, Description = description,
    };

    // "GET api/v1/messages/{id}" is getMessagesById.
    private static string IdOf(string method, string path)
    {
        var words = path.Split('/', StringSplitOptions.RemoveEmptyEntries).Skip(2).Select(word =>
            word.StartsWith('{') ? $"By{Capital(word.Trim('{', '}').Split(':')[0])}" : Capital(word));
        return method.ToLowerInvariant() + string.Concat(words);

        static string Capital(string word) => char.ToUpperInvariant(word[0]) + word[1..];
    }

    private async Task<byte[]> MakeAsync()
    {
        var document = await provider.GetOpenApiDocumentAsync(CancellationToken.None);
        using var text = new MemoryStream();
        await document.SerializeAsJsonAsync(text, OpenApiSpecVersion.OpenApi3_1, CancellationToken.None);
        return text.ToArray();
    }
}

/// <summary>The endpoint looks at If-Match, which its document says.</summary>
internal sealed class TagAccepted;
