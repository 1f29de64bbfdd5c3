using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace MailPipeline.Console.Api;

/// <summary>The document of the API (OpenAPI 3.1): what is generated from the code, and what the code does not say of itself.</summary>
internal static class ApiDocument
{
    private const string Bearer = "bearer";

    public static void SetUp(OpenApiOptions options)
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "MailPipeline", Version = "1",
                Description = "What an operator asks and does, for programs. Lists come in pages: 'next' of one is the 'cursor' of the following. Properties may be added; none changes its meaning.",
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
        options.AddOperationTransformer((operation, context, _) =>
        {
            if (context.Description.ActionDescriptor.EndpointMetadata.OfType<KeyAccepted>().Any())
            {
                operation.Parameters ??= [];
                operation.Parameters.Add(new OpenApiParameter
                {
                    Name = "Idempotency-Key", In = ParameterLocation.Header, Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                    Description = "A repeated request with the same one is answered as the first was",
                });
            }
            return Task.CompletedTask;
        });
    }
}
